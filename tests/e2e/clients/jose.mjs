// npm jose as a resource server. Usage: node jose.mjs JWKS_URI ISSUER
// Each line of standard input is {"token", "audience"}; each is answered by one line: the claims, or the error's code.
import { createInterface } from 'node:readline';
import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose';

const [jwksUri, issuer] = process.argv.slice(2);
let fetches = 0;
const keys = createRemoteJWKSet(new URL(jwksUri), {
  cooldownDuration: 0,
  [customFetch]: (...asked) => {
    fetches += 1;
    return fetch(...asked);
  },
});

for await (const line of createInterface({ input: process.stdin })) {
  const { token, audience } = JSON.parse(line);
  const said = await jwtVerify(token, keys, { algorithms: ['ES256'], typ: 'at+jwt', issuer, audience }).then(
    ({ payload, protectedHeader }) => ({ claims: payload, header: protectedHeader }),
    ({ code, claim }) => ({ code, claim }),
  );
  process.stdout.write(`${JSON.stringify({ ...said, fetches })}\n`);
}
