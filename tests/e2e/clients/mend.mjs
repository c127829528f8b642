// A caller of the Mend SCA API 2.0, written from its contract alone. It reads one JSON object from standard input:
// {base_url, email, user_key, org_token, other_org}; it writes one that says what it was told.
import { text } from 'node:stream/consumers';

const given = JSON.parse(await text(process.stdin));
const api = `${given.base_url}/api/v2.0`;
const counts = { logins: 0, refreshes: 0 };
let session = null;

class ApiError extends Error {
  constructor(status, body) {
    super(body.retVal?.errorMessage ?? `status ${status}`);
    Object.assign(this, { status, supportToken: body.supportToken });
  }
}

async function send(path, options = {}) {
  const response = await fetch(api + path, options);
  const body = await response.json(); // before the status is looked at, as callers do
  return { status: response.status, body };
}

async function logIn(orgToken = given.org_token) {
  counts.logins += 1;
  const { status, body } = await send('/login', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: given.email, userKey: given.user_key, orgToken }, null, 2),
  });
  if (status !== 200) throw new ApiError(status, body);
  session = body.retVal;
}

async function refresh() {
  counts.refreshes += 1;
  const { status, body } = await send('/login/accessToken', {
    method: 'POST',
    headers: { 'wss-refresh-token': session.refreshToken },
  });
  if (status !== 200) throw new ApiError(status, body);
  session = body;
}

function isNearItsEnd(token) {
  const { exp } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
  return exp - Date.now() / 1000 < 60;
}

async function call(path, again = true) {
  if (session === null) await logIn();
  else if (session.jwtToken.includes('.') && isNearItsEnd(session.jwtToken)) await refresh();
  const { status, body } = await send(path, { headers: { authorization: `Bearer ${session.jwtToken}` } });
  if (!('retVal' in body) && again) {
    await logIn(session.orgUuid);
    return call(path, false);
  }
  if (status !== 200) throw new ApiError(status, body);
  return body.retVal;
}

const failed = (doing) => doing.then(() => null, ({ status, message }) => ({ status, message }));

const orgs = await call('/orgs');
const first = session;
await refresh();
const refreshed = session;
const shown = await call(`/orgs/${session.orgUuid}`);
const foreign = await failed(call(`/orgs/${given.other_org}`));
session = await call(`/orgs/${session.orgUuid}/changeOrganization/${given.other_org}`);
const changed = session;
const there = await call(`/orgs/${given.other_org}`);
session = { ...session, jwtToken: 'no token any more' };
const afterwards = await call(`/orgs/${given.other_org}`);
given.user_key = 'wrong';
const wrong = await failed(logIn());
const said = { orgs, first, refreshed, shown, foreign, changed, there, afterwards, wrong, counts };
process.stdout.write(`${JSON.stringify(said)}\n`);
