// A member of Sahamati, written from the contract alone. It reads one JSON object from standard input, {base_url,
// username, password, entity_id}, and writes one that says what it was told.
import { createPublicKey, randomUUID, verify } from 'node:crypto';
import { text } from 'node:stream/consumers';

const given = JSON.parse(await text(process.stdin));

async function send(url, options) {
  const response = await fetch(url, options);
  return [response.status, await response.json()];
}

const generate = (whose, fields) =>
  send(`${given.base_url}/${whose}/token/generate`, { method: 'POST', body: new URLSearchParams(fields) });
const entityToken = (secret) => generate('entity', { id: given.entity_id, secret });

async function secretCall(verb, token, { days, entityId = given.entity_id } = {}) {
  const txnId = randomUUID();
  const told = { ver: '1.0.0', timestamp: new Date().toISOString(), txnId, entityId, secretExpiryDays: days };
  const answer = await send(`${given.base_url}/entity/secret/${verb}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: token }, // raw, as one published client sends it
    body: JSON.stringify(told),
  });
  if (answer[1].txnId !== txnId) throw new Error('the answer is to another request');
  return answer;
}

const decoded = (part) => Buffer.from(part, 'base64url');

async function verified(token) {
  const [head, body, signature] = token.split('.');
  const { alg, kid } = JSON.parse(decoded(head));
  const claims = JSON.parse(decoded(body));
  if (alg !== 'RS256') throw new Error('not signed as the contract says');
  const [, certs] = await send(`${claims.iss}/protocol/openid-connect/certs`);
  const key = createPublicKey({ key: certs.keys.find((each) => each.kid === kid), format: 'jwk' });
  if (!verify('RSA-SHA256', Buffer.from(`${head}.${body}`), key, decoded(signature))) throw new Error('forged');
  if (claims.exp <= claims.iat || claims.exp * 1000 <= Date.now()) throw new Error('over');
  if (!['AA', 'FIP', 'FIU'].includes(claims.roles)) throw new Error('no entity’s token');
  return claims;
}

const said = { user: await generate('user', { username: given.username, password: given.password }) };
const token = said.user[1].accessToken;
said.read = await secretCall('read', token);
const { secret } = said.read[1];
said.entity = await entityToken(secret);
const ours = said.entity[1].accessToken;
said.claims = await verified(ours);
said.user_token_refused = await verified(token).then(() => false, () => true);
said.reset = await secretCall('reset', token, { days: 30 });
said.reset_by_default = await secretCall('reset', token);
said.reset_too_long = await secretCall('reset', token, { days: 181 });
said.no_days = await secretCall('reset', token, { days: 0 });
said.old = await entityToken(secret);
said.new = await entityToken(said.reset_too_long[1].secret);
said.still_good = (await verified(ours)).azp;
said.by_entity_token = await secretCall('read', ours);
said.unknown = await secretCall('read', token, { entityId: 'NOBODY' });
process.stdout.write(`${JSON.stringify(said)}\n`);
