// The provider's storage. Its own in-memory store forgets the least recently used of 1000 entries, which would be a valid
// token in a long test run.
export function memory() {
  return () => {
    const entries = new Map();
    const findBy = (key, value) => entries.values().find((entry) => entry[key] === value);
    return {
      find: async (id) => entries.get(id),
      findByUid: async (uid) => findBy('uid', uid),
      findByUserCode: async (userCode) => findBy('userCode', userCode),
      upsert: async (id, entry) => void entries.set(id, entry),
      consume: async (id) => void (entries.get(id).consumed = Math.floor(Date.now() / 1000)),
      destroy: async (id) => void entries.delete(id),
      revokeByGrantId: async (grantId) => {
        for (const [id, entry] of entries) if (entry.grantId === grantId) entries.delete(id);
      },
    };
  };
}
