package tasks

// storedField is a value that is kept outside of tasks, such as an entry of a schedule.
const storedField field = "stored"

// EncryptStored encrypts a JSON object that is to be stored under a name in a place, bound to both. Without keys it returns the
// object as it is.
func (c *Client) EncryptStored(place, name string, plain []byte) []byte {
	if c.keys == nil {
		return plain
	}
	return seal(c.keys, storedField, place, name, plain)
}

// DecryptStored undoes EncryptStored, and returns what was not encrypted as it is. Its error is a *KeyError, or says that the
// value was not encrypted for this place and name.
func (c *Client) DecryptStored(place, name string, stored []byte) ([]byte, error) {
	switch {
	case !isSealed(stored):
		return stored, nil
	case c.keys == nil:
		keyID, _, err := parseSealed(stored)
		if err != nil {
			return nil, err
		}
		return nil, &KeyError{ID: keyID}
	}
	return unseal(c.keys, storedField, place, name, stored)
}
