// What the page remembers between visits. A browser that refuses storage only loses the memory.
const prefix = 'paidui.'

export function load(key) {
  try {
    return JSON.parse(localStorage.getItem(prefix + key))
  } catch {
    return null
  }
}

export function save(key, value) {
  try {
    if (value === null || value === undefined) localStorage.removeItem(prefix + key)
    else localStorage.setItem(prefix + key, JSON.stringify(value))
  } catch {
    // private mode or a full store
  }
}
