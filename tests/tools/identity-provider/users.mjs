// The people who can sign in. They differ in the claims that say who they are: `gpid` first, else `employeeNumber`, else
// only `sub`.
const users = {
  alice: { gpid: '10012345', employeeNumber: 'E-77', groups: ['Everyone', 'HR'] },
  bob: { employeeNumber: 'E-88', groups: ['Everyone'] },
  carol: {},
  dave: { gpid: '10054321', groups: ['Everyone', 'Employees'] },
};

export function exists(user) {
  return Object.hasOwn(users, user);
}

// The login, Okta's `username`.
export function login(user) {
  return `${user}@example.com`;
}

// What Okta says about any user in an access token.
export function identity(user) {
  return { uid: `00u${user}`, username: login(user) };
}

// What an administrator has added to the access tokens of a custom authorization server.
export function customClaims(user) {
  return { email: login(user), ...users[user] };
}

// What the user's profile holds.
export function profile(user) {
  return { sub: user, email: login(user), name: user[0].toUpperCase() + user.slice(1) };
}
