// npm oidc-provider as a peer of `make bench`: client_credentials with a JWT access token, storing nothing.
// Usage: node serve.mjs PORT ALGORITHM CLIENT_ID CLIENT_SECRET
import { generateKeyPairSync } from 'node:crypto';
import { Provider } from 'oidc-provider';

const [port, algorithm, clientId, clientSecret] = process.argv.slice(2);
const pairs = {
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
};
const key = pairs[algorithm]().privateKey.export({ format: 'jwk' });
const audience = 'urn:keyturn:bench:api';

// Its default adapter keeps what it is given in memory; this one keeps nothing.
class Nothing {
  async upsert() {}
  async find() {}
  async findByUid() {}
  async findByUserCode() {}
  async consume() {}
  async destroy() {}
  async revokeByGrantId() {}
}

const provider = new Provider(`http://127.0.0.1:${port}`, {
  adapter: Nothing,
  jwks: { keys: [{ ...key, use: 'sig', alg: algorithm, kid: 'bench' }] },
  cookies: { keys: ['bench'] },
  clients: [{
    client_id: clientId,
    client_secret: clientSecret,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    id_token_signed_response_alg: algorithm,
    scope: 'read write',
  }],
  scopes: ['read', 'write'],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      getResourceServerInfo: () => ({
        scope: 'read write',
        audience,
        accessTokenTTL: 3600,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: algorithm } },
      }),
    },
  },
});

provider.listen(Number(port), '127.0.0.1');
