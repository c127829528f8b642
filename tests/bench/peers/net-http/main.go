// Go's own server as a peer of `make bench`: client_credentials with an ES256 JWT, no OAuth library, storing nothing.
// Usage: peer PORT CLIENT_ID CLIENT_SECRET
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const lifetime = 600

type claims struct {
	jwt.Claims
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
}

type answer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
	Scope       string `json:"scope"`
}

func main() {
	port, clientID, kept := os.Args[1], os.Args[2], sha256.Sum256([]byte(os.Args[3]))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	options := (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", "bench")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		log.Fatal(err)
	}
	issuer := "http://127.0.0.1:" + port
	http.HandleFunc("POST /token", func(writer http.ResponseWriter, request *http.Request) {
		id, secret, ok := request.BasicAuth()
		presented := sha256.Sum256([]byte(secret))
		if !ok || id != clientID || subtle.ConstantTimeCompare(presented[:], kept[:]) != 1 {
			http.Error(writer, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		}
		if request.PostFormValue("grant_type") != "client_credentials" {
			http.Error(writer, `{"error":"unsupported_grant_type"}`, http.StatusBadRequest)
			return
		}
		jti := make([]byte, 16)
		if _, err := rand.Read(jti); err != nil {
			http.Error(writer, `{"error":"server_error"}`, http.StatusInternalServerError)
			return
		}
		now, scope := time.Now(), request.PostFormValue("scope")
		token, err := jwt.Signed(signer).Claims(claims{
			Claims: jwt.Claims{
				Issuer:   issuer,
				Subject:  id,
				Audience: jwt.Audience{"urn:keyturn:bench:api"},
				IssuedAt: jwt.NewNumericDate(now),
				Expiry:   jwt.NewNumericDate(now.Add(lifetime * time.Second)),
				ID:       hex.EncodeToString(jti),
			},
			ClientID: id,
			Scope:    scope,
		}).Serialize()
		if err != nil {
			http.Error(writer, `{"error":"server_error"}`, http.StatusInternalServerError)
			return
		}
		writer.Header().Set("Content-Type", "application/json")
		writer.Header().Set("Cache-Control", "no-store")
		if err := json.NewEncoder(writer).Encode(answer{token, "Bearer", lifetime, scope}); err != nil {
			log.Print(err)
		}
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}
