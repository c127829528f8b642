// npm @node-oauth/oauth2-server as a peer of `make bench`: client_credentials with an ES256 JWT as access token.
// Usage: node serve.mjs PORT CLIENT_ID CLIENT_SECRET
import { createHash, generateKeyPairSync, randomUUID, sign, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import OAuth2Server from '@node-oauth/oauth2-server';

const [port, clientId, clientSecret] = process.argv.slice(2);
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const digest = (text) => createHash('sha256').update(text).digest();
const client = { id: clientId, grants: ['client_credentials'], secret: digest(clientSecret) };
const lifetime = 600;
const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const head = encoded({ alg: 'ES256', typ: 'at+jwt', kid: 'bench' });

// The library makes no JWT itself: it asks its model for the text of a token.
const write = (scope) => {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: `http://127.0.0.1:${port}`,
    sub: clientId,
    aud: 'urn:keyturn:bench:api',
    iat: now,
    exp: now + lifetime,
    jti: randomUUID(),
    client_id: clientId,
    scope: scope.join(' '),
  };
  const signed = `${head}.${encoded(claims)}`;
  const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
};

const server = new OAuth2Server({
  accessTokenLifetime: lifetime,
  model: {
    getClient: async (id, secret) =>
      id === client.id && timingSafeEqual(digest(secret), client.secret) ? client : false,
    getUserFromClient: async () => ({ id: clientId }),
    validateScope: async (user, asking, scope) => scope,
    generateAccessToken: async (asking, user, scope) => write(scope),
    saveToken: async (token, asking, user) => ({ ...token, client: asking, user }),
  },
});

createServer((incoming, outgoing) => {
  const pieces = [];
  incoming.on('data', (piece) => pieces.push(piece));
  incoming.on('end', async () => {
    const response = new OAuth2Server.Response();
    const request = new OAuth2Server.Request({
      method: incoming.method,
      headers: incoming.headers,
      query: {},
      body: Object.fromEntries(new URLSearchParams(Buffer.concat(pieces).toString())),
    });
    try {
      await server.token(request, response);
    } catch {
      // What was refused is written into the response.
    }
    const body = JSON.stringify(response.body);
    const headers = { ...response.headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    outgoing.writeHead(response.status, headers).end(body);
  });
}).listen(Number(port), '127.0.0.1');
