// A client of the Sahamati Token Service, written from its pages by somebody who had not seen Keyturn's code.
// Reads a section `sahamati` of demo.json on standard input and prints what came of each step as one JSON object. It
// resets the secret of the second entity and leaves the first one's as it was.

import { createPublicKey, randomUUID, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';

const given = JSON.parse(readFileSync(0, 'utf8'));
const { base_url: base, entity_id: entity, second_entity_id: second } = given;

// Every answer is JSON, whatever its status.
async function ask(url, options) {
  const answer = await fetch(url, options);
  return [answer.status, await answer.json()];
}

// fetch calls such a body a form by itself; '+' goes out as %2B and '@' as %40.
const token = (who, fields) =>
  ask(`${base}/${who}/token/generate`, { method: 'POST', body: new URLSearchParams(fields) });

async function secret(what, authorization, entityId, more = {}) {
  const body = {
    ver: '1.0.0',
    timestamp: new Date().toISOString(),
    txnId: randomUUID(),
    entityId,
    ...more,
  };
  const headers = { 'Content-Type': 'application/json', Authorization: authorization };
  const options = { method: 'POST', headers, body: JSON.stringify(body) };
  return [...(await ask(`${base}/entity/secret/${what}`, options)), body.txnId];
}

// As a member does who got it: by the keys of the printed issuer.
async function verified(jwt) {
  const [head, body, signature] = jwt.split('.');
  const [header, claims] = [head, body].map((part) => JSON.parse(Buffer.from(part, 'base64url')));
  const [, certs] = await ask(`${claims.iss}/protocol/openid-connect/certs`);
  const jwk = certs.keys.find(({ kid }) => kid === header.kid);
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  const holds =
    header.alg === 'RS256' &&
    verify('RSA-SHA256', `${head}.${body}`, key, Buffer.from(signature, 'base64url')) &&
    claims.exp > claims.iat &&
    claims.exp > Date.now() / 1000 &&
    ['AA', 'FIP', 'FIU'].includes(claims.roles);
  if (!holds) throw new Error('not a token of an entity');
  return claims;
}

const isRefused = (jwt) => verified(jwt).then(() => false, () => true);

const user = await token('user', { username: given.username, password: given.password });
const bearer = `Bearer ${user[1].accessToken}`;
const read = await secret('read', bearer, entity);
const entityToken = await token('entity', { id: entity, secret: read[1].secret });
const jwt = entityToken[1].accessToken;
const before = await secret('read', bearer, second);
const early = await token('entity', { id: second, secret: before[1].secret });
const reset = await secret('reset', bearer, second, { secretExpiryDays: 100 });
const byDefault = await secret('reset', bearer, second);
const tooLong = await secret('reset', bearer, second, { secretExpiryDays: 181 });
const claims = await verified(jwt);
const basic = Buffer.from(`${entity}:${read[1].secret}`).toString('base64');

console.log(
  JSON.stringify({
    user,
    read,
    raw: await secret('read', user[1].accessToken, entity),
    entity: entityToken,
    claims,
    user_token_refused: await isRefused(user[1].accessToken),
    before,
    reset,
    default: byDefault,
    too_long: tooLong,
    still_good: (await verified(early[1].accessToken)).azp,
    old: await token('entity', { id: second, secret: before[1].secret }),
    new: await token('entity', { id: second, secret: tooLong[1].secret }),
    grace: await token('entity', { id: given.grace.entity_id, secret: given.grace.entity_secret }),
    expired: await token('entity', { id: given.expired.entity_id, secret: given.expired.entity_secret }),
    wrong_password: await token('user', { username: given.username, password: 'wrong' }),
    unknown_user: await token('user', { username: 'a+b@x.in', password: 'wrong' }),
    no_secret: await token('entity', { id: entity }),
    entity_token: await secret('read', `Bearer ${jwt}`, entity),
    unknown_entity: await secret('reset', bearer, 'FIU-NOBODY'),
    no_entity: await secret('read', bearer, ''),
    no_days: await secret('reset', bearer, second, { secretExpiryDays: 0 }),
    text_days: await secret('reset', bearer, second, { secretExpiryDays: '100' }),
    predecessor: await ask(`${claims.iss}/protocol/openid-connect/token`, {
      method: 'POST',
      headers: { Authorization: `Basic ${basic}` },
      body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'openid' }),
    }),
  }),
);
