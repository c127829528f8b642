// A client of Mend's SCA API 2.0, written from the vendor's pages by somebody who had not seen Keyturn's code.
// Reads a section `mend` of demo.json on standard input and prints what came of each step as one JSON object.

import { readFileSync } from 'node:fs';

const given = JSON.parse(readFileSync(0, 'utf8'));
const api = given.login_url.replace(/\/login$/, '');
const json = { 'Content-Type': 'application/json' };

// Every answer is JSON, whatever its status.
async function ask(url, options) {
  const answer = await fetch(url, options);
  return [answer.status, await answer.json()];
}

const login = (email, userKey, org = {}) =>
  ask(given.login_url, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ email, userKey, ...org }, null, 4),
  });

const refresh = (token, body) =>
  ask(given.refresh_url, { method: 'POST', headers: { 'wss-refresh-token': token }, body });

const get = (path, token) => ask(api + path, { headers: { Authorization: `Bearer ${token}` } });

// Where an answer has no `retVal` one vendor script logs in and calls again.
async function stubborn(path, token) {
  const answer = await get(path, token);
  return 'retVal' in answer[1] ? answer : get(path, (await login(...who))[1].retVal.jwtToken);
}

function lifetime(token) {
  const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
  return claims.exp - claims.iat;
}

const who = [given.email, given.user_key];
const first = await login(...who, { orgToken: given.org_token });
const inside = first[1].retVal;
const refreshed = await refresh(inside.refreshToken);
const again = await refresh(refreshed[1].refreshToken, '{}');
const token = again[1].jwtToken;
const orgs = await get('/orgs?sort=-name&pageSize=1&page=0', token);
const other = orgs[1].retVal[0].uuid;
const changed = await get(`/orgs/${inside.orgUuid}/changeOrganization/${other}`, token);

console.log(
  JSON.stringify({
    login: first,
    lifetime: lifetime(inside.jwtToken),
    refresh: refreshed,
    again,
    org: await get(`/orgs/${given.org_token}`, token),
    orgs,
    changed,
    stubborn: await stubborn(`/orgs/${other}`, 'over'),
    last: await login(...who),
    no_org: await login(...who, { orgToken: null }),
    alias: await login(...who, { apiKey: given.org_token }),
    service: await login(given.service_user.email, given.service_user.user_key),
    wrong_key: await login(given.email, 'wrong', { orgToken: given.org_token }),
    unknown: await login('nobody@mail.example', given.user_key),
    wrong_refresh: await refresh(token),
    wrong_jwt: await get('/orgs', inside.refreshToken),
    other_org: await get(`/orgs/${inside.orgUuid}`, changed[1].retVal.jwtToken),
    no_key: await ask(given.login_url, { method: 'POST', headers: json, body: '{"email": "x"}' }),
  }),
);
