// Ory's fosite as a peer of `make bench`: client_credentials with an ES256 JWT, everything in memory.
// Usage: peer PORT CLIENT_ID CLIENT_SECRET
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/storage"
	"github.com/ory/fosite/token/jwt"
)

// Its own hasher is bcrypt, made for passwords; a machine's random secret needs no slow one.
type sha256Hasher struct{}

func (sha256Hasher) Hash(_ context.Context, data []byte) ([]byte, error) {
	sum := sha256.Sum256(data)
	return sum[:], nil
}

func (sha256Hasher) Compare(_ context.Context, hash, data []byte) error {
	sum := sha256.Sum256(data)
	if subtle.ConstantTimeCompare(sum[:], hash) != 1 {
		return errors.New("the secret is another")
	}
	return nil
}

// Its memory store keeps what it is given for ever; this one forgets access tokens, to its advantage.
type forgetful struct{ *storage.MemoryStore }

func (forgetful) CreateAccessTokenSession(context.Context, string, fosite.Requester) error {
	return nil
}

func main() {
	port, clientID, secret := os.Args[1], os.Args[2], os.Args[3]
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	issuer, hasher := "http://127.0.0.1:"+port, sha256Hasher{}
	kept, _ := hasher.Hash(context.Background(), []byte(secret))
	memory := storage.NewMemoryStore()
	memory.Clients[clientID] = &fosite.DefaultClient{
		ID:         clientID,
		Secret:     kept,
		GrantTypes: []string{"client_credentials"},
		Scopes:     []string{"read", "write"},
	}
	config := &fosite.Config{
		AccessTokenIssuer:   issuer,
		AccessTokenLifespan: 10 * time.Minute,
		GlobalSecret:        []byte("a-secret-of-32-bytes-for-a-bench"),
		ClientSecretsHasher: hasher,
	}
	strategy := &oauth2.DefaultJWTStrategy{
		Signer:          &jwt.DefaultSigner{GetPrivateKey: func(context.Context) (interface{}, error) { return key, nil }},
		HMACSHAStrategy: compose.NewOAuth2HMACStrategy(config),
		Config:          config,
	}
	provider := compose.Compose(config, forgetful{memory}, strategy, compose.OAuth2ClientCredentialsGrantFactory)
	http.HandleFunc("POST /token", func(writer http.ResponseWriter, request *http.Request) {
		ctx := request.Context()
		session := &oauth2.JWTSession{
			JWTClaims: &jwt.JWTClaims{Subject: clientID, Issuer: issuer},
			JWTHeader: &jwt.Headers{Extra: map[string]interface{}{"kid": "bench"}},
		}
		asked, err := provider.NewAccessRequest(ctx, request, session)
		if err != nil {
			provider.WriteAccessError(ctx, writer, asked, err)
			return
		}
		for _, scope := range asked.GetRequestedScopes() {
			asked.GrantScope(scope)
		}
		answer, err := provider.NewAccessResponse(ctx, asked)
		if err != nil {
			provider.WriteAccessError(ctx, writer, asked, err)
			return
		}
		provider.WriteAccessResponse(ctx, writer, asked, answer)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}
