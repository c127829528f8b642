// npm oauth4webapi through a token's whole life: reads what to do from standard input, writes what came of it.
import { text } from 'node:stream/consumers';
import * as oauth from 'oauth4webapi';

const given = JSON.parse(await text(process.stdin));
const plain = { [oauth.allowInsecureRequests]: true };
const methods = {
  client_secret_basic: () => oauth.ClientSecretBasic(given.client_secret),
  client_secret_post: () => oauth.ClientSecretPost(given.client_secret),
  private_key_jwt: async () => oauth.PrivateKeyJwt({
    key: await crypto.subtle.importKey(
      'jwk', given.private_jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'],
    ),
    kid: given.kid,
  }),
};
const refusal = async (asked) => asked.then(
  () => null,
  ({ name, code, error, status }) => ({ name, code, error, status }),
);

const issuer = new URL(given.issuer);
const found = await oauth.discoveryRequest(issuer, { algorithm: given.discovery, ...plain });
const as = await oauth.processDiscoveryResponse(issuer, found);
const client = { client_id: given.client_id };
const proof = await methods[given.method]();

const token = async (scope, by = proof) => oauth.processClientCredentialsResponse(
  as, client, await oauth.clientCredentialsGrantRequest(as, client, by, { scope }, plain),
);
const renew = async (refreshToken, scope) => oauth.processRefreshTokenResponse(
  as,
  client,
  await oauth.refreshTokenGrantRequest(
    as, client, proof, refreshToken, { ...plain, additionalParameters: scope ? { scope } : {} },
  ),
);
const introspect = async (it, hint) => oauth.processIntrospectionResponse(
  as,
  client,
  await oauth.introspectionRequest(
    as, client, proof, it, { ...plain, additionalParameters: hint ? { token_type_hint: hint } : {} },
  ),
);
const revoke = async (it) => oauth.processRevocationResponse(
  await oauth.revocationRequest(as, client, proof, it, plain),
);
const validate = async (it, audience) => oauth.validateJwtAccessToken(
  as,
  new Request('https://api.example/', { headers: { authorization: `Bearer ${it}` } }),
  audience,
  { ...plain, signingAlgorithms: ['ES256'] },
);

const first = await token('read write offline_access');
const active = await introspect(first.access_token);
const claims = await validate(first.access_token, given.audience);
const elsewhere = await refusal(validate(first.access_token, 'https://elsewhere.example'));
const second = await renew(first.refresh_token, 'read');
const family = await introspect(second.refresh_token, 'refresh_token');
await revoke(second.access_token);
const revoked = await introspect(second.access_token);
const spared = await introspect(first.access_token);
await revoke(second.refresh_token);
const ended = await introspect(first.access_token);

process.stdout.write(JSON.stringify({
  metadata: as,
  first,
  active,
  claims,
  elsewhere,
  second,
  family,
  revoked,
  spared,
  ended,
  renewal: await refusal(renew(second.refresh_token)),
  stranger: await refusal(token('read', oauth.ClientSecretBasic('wrong'))),
  scope: await refusal(token('everything')),
}));
