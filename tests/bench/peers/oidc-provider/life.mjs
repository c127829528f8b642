// npm oidc-provider as a peer of `make bench`, with everything in memory.
// Usage: node life.mjs PORT CLIENT_ID CLIENT_SECRET
// Refresh gives ES256 JWTs. Introspection and revocation are of opaque tokens: it refuses to do either to a JWT.
// Its refresh tokens belong to people; POST /seed (and /seed/rotate, for one that rotates) makes one without a browser.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const [port, clientId, clientSecret] = process.argv.slice(2);
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const formats = { 'urn:keyturn:bench:jwt': 'jwt', 'urn:keyturn:bench:opaque': 'opaque' };
const LIMIT = 100_000;
const kept = new Map();

// The adapter that comes with it keeps 1,000 entries and walks all tokens of a grant at each refresh. This one does
// neither, to its advantage: it forgets the oldest of many, and knows no grant's tokens.
class InMemory {
  constructor(model) {
    this.model = model;
  }
  async upsert(id, payload) {
    kept.set(`${this.model}:${id}`, payload);
    if (kept.size > LIMIT) kept.delete(kept.keys().next().value);
  }
  async find(id) {
    return kept.get(`${this.model}:${id}`);
  }
  async findByUid() {}
  async findByUserCode() {}
  async consume(id) {
    kept.get(`${this.model}:${id}`).consumed = Math.floor(Date.now() / 1000);
  }
  async destroy(id) {
    kept.delete(`${this.model}:${id}`);
  }
  async revokeByGrantId() {}
}

const provider = new Provider(`http://127.0.0.1:${port}`, {
  adapter: InMemory,
  jwks: { keys: [{ ...key, use: 'sig', alg: 'ES256', kid: 'bench' }] },
  cookies: { keys: ['bench'] },
  clients: [{
    client_id: clientId,
    client_secret: clientSecret,
    grant_types: ['client_credentials', 'authorization_code', 'refresh_token'],
    redirect_uris: ['https://client.example/back'],
    id_token_signed_response_alg: 'ES256',
  }],
  scopes: ['read', 'write', 'offline_access'],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  rotateRefreshToken: (ctx) => ctx.oidc.entities.RefreshToken.acr === 'rotate',
  ttl: { AccessToken: 3600, ClientCredentials: 3600, Grant: 86_400, IdToken: 3600, RefreshToken: 86_400 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:keyturn:bench:opaque',
      getResourceServerInfo: (_, resource) => ({
        scope: 'read write',
        audience: resource,
        accessTokenTTL: 3600,
        accessTokenFormat: formats[resource],
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
});

const seed = async (acr) => {
  const client = await provider.Client.find(clientId);
  const grant = new provider.Grant({ accountId: 'somebody', clientId });
  grant.addResourceScope('urn:keyturn:bench:jwt', 'read write');
  const refreshToken = new provider.RefreshToken({
    accountId: 'somebody',
    acr,
    client,
    grantId: await grant.save(),
    gty: 'authorization_code',
    resource: 'urn:keyturn:bench:jwt',
    scope: 'read write',
  });
  return JSON.stringify({ refresh_token: await refreshToken.save() });
};

const answer = provider.callback();
createServer(async (request, response) => {
  if (!request.url.startsWith('/seed')) {
    answer(request, response);
    return;
  }
  const body = await seed(request.url.endsWith('/rotate') ? 'rotate' : undefined);
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.length });
  request.resume().on('end', () => response.end(body));
}).listen(Number(port), '127.0.0.1');
