// Ory Hydra as a peer of `make bench`: its own command line, with an ES256 key and one client put into its store.
// Usage: peer DATABASE PORT CLIENT_ID CLIENT_SECRET
package main

import (
	"context"
	"log"
	"os"
	"strconv"

	"github.com/ory/hydra/v2/client"
	"github.com/ory/hydra/v2/cmd"
	"github.com/ory/hydra/v2/driver"
	"github.com/ory/hydra/v2/x"
	"github.com/ory/x/configx"
)

func settings(database string, port int) map[string]interface{} {
	return map[string]interface{}{
		"dsn":                     database,
		"serve.public.host":       "127.0.0.1",
		"serve.public.port":       port,
		"strategies.access_token": "jwt",
		"ttl.access_token":        "10m",
		"secrets.system":          []string{"a-secret-of-32-bytes-for-a-bench"},
		// Outside of its development mode only this scheme is taken; it listens without TLS all the same.
		"urls.self.issuer": "https://127.0.0.1:" + strconv.Itoa(port),
		// A machine's random secret needs no slow hash; as it is shipped, it would measure nothing else.
		"oauth2.hashers.pbkdf2.iterations": 1,
		"log.level":                        "error",
		// It would report its use to its makers.
		"sqa.opt_out": true,
	}
}

// Without a key in that set it would make one for RS256.
func fill(registry driver.Registry, clientID, secret string) error {
	ctx := context.Background()
	_, err := registry.KeyManager().GenerateAndPersistKeySet(ctx, x.OAuth2JWTKeyName, "bench", "ES256", "sig")
	if err != nil {
		return err
	}
	return registry.ClientManager().CreateClient(ctx, &client.Client{
		ID:                      clientID,
		Secret:                  secret,
		GrantTypes:              []string{"client_credentials"},
		Scope:                   "read write",
		TokenEndpointAuthMethod: "client_secret_basic",
	})
}

func run(arguments []string, options ...driver.OptionsModifier) {
	root := cmd.NewRootCmd(nil, options, nil)
	root.SetArgs(arguments)
	if err := root.Execute(); err != nil {
		log.Fatal(err)
	}
}

func main() {
	database, clientID, secret := os.Args[1], os.Args[3], os.Args[4]
	port, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	run([]string{"migrate", "sql", "up", database, "--yes"})
	run(
		[]string{"serve", "public"},
		driver.WithOptions(configx.WithValues(settings(database, port))),
		driver.Inspect(func(registry driver.Registry) error { return fill(registry, clientID, secret) }),
	)
}
