// npm openid-client through a token's whole life: reads what to do from standard input, writes what came of it.
import { text } from 'node:stream/consumers';
import * as client from 'openid-client';

const given = JSON.parse(await text(process.stdin));
const methods = {
  client_secret_basic: () => client.ClientSecretBasic(given.client_secret),
  client_secret_post: () => client.ClientSecretPost(given.client_secret),
  private_key_jwt: async () => client.PrivateKeyJwt({
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

const options = { algorithm: given.discovery, execute: [client.allowInsecureRequests] };
const discover = (proof) => client.discovery(new URL(given.issuer), given.client_id, undefined, proof, options);
const config = await discover(await methods[given.method]());
const stranger = await discover(client.ClientSecretBasic('wrong'));

const first = await client.clientCredentialsGrant(config, { scope: 'read write offline_access' });
const active = await client.tokenIntrospection(config, first.access_token);
const second = await client.refreshTokenGrant(config, first.refresh_token, { scope: 'read' });
const family = await client.tokenIntrospection(config, second.refresh_token, { token_type_hint: 'refresh_token' });
await client.tokenRevocation(config, second.access_token, { token_type_hint: 'access_token' });
const revoked = await client.tokenIntrospection(config, second.access_token);
const spared = await client.tokenIntrospection(config, first.access_token);
await client.tokenRevocation(config, second.refresh_token);
const ended = await client.tokenIntrospection(config, first.access_token);

process.stdout.write(JSON.stringify({
  metadata: config.serverMetadata(),
  first,
  active,
  second,
  family,
  revoked,
  spared,
  ended,
  renewal: await refusal(client.refreshTokenGrant(config, second.refresh_token)),
  stranger: await refusal(client.clientCredentialsGrant(stranger)),
  scope: await refusal(client.clientCredentialsGrant(config, { scope: 'everything' })),
}));
