package tasks

import "github.com/paidui/paidui/tasks/broker"

// Encrypted has the definition's arguments, results, errors and progress encrypted wherever they are stored, in Redis
// and in the database, with the keys of ClientOptions.Keys and MuxOptions.Keys: AES-256-GCM, bound to the task, its id
// and which of them it is. Whoever may ask for them gets them in the clear. It belongs to a definition.
//
// What the task is unique by, arguments or UniqueKey, is stored as a keyed digest. Ids, tags, headers, the reasons of
// revocations and all counts and times stay as they are: put nothing secret there. The log has the types of errors
// instead of their texts. Without keys nothing of this happens. See deploy/docs/security.md for the order of a roll-out
// and of a rotation.
func Encrypted() Option { return func(o *options) { o.encrypted = true } }

// checkReserved refuses arguments that look as if they were encrypted.
func checkReserved(payload []byte) error {
	if !isSealed(payload) {
		return nil
	}
	return &ArgsError{Field: sealedName, Msg: "is a reserved name"}
}

// KeyedDigest is a digest of a text that nobody can make, or try texts for, without the client's keys; nil when it has none.
func (c *Client) KeyedDigest(text []byte) []byte {
	if c.keys == nil {
		return nil
	}
	return c.keys.MAC("paidui\x00digest", text)
}

// boundTo is the id that a call's arguments are encrypted for: a debounced task may get the arguments of a later call.
func (o *options) boundTo(id string) string {
	if o.debounce > 0 {
		return ""
	}
	return id
}

// encryptArgs encrypts a message's arguments, unless they are, and hides what it is unique by. Without keys it leaves
// them.
func (c *Client) encryptArgs(m *broker.Message, o *options) error {
	if c.keys == nil {
		return nil
	}
	key, err := c.maskedKey(m.Task, m.ID, m.Payload, o)
	if err != nil {
		return err
	}
	if key != "" {
		m.Key = []byte(key)
	}
	if !isSealed(m.Payload) {
		m.Payload = seal(c.keys, argsField, m.Task, o.boundTo(m.ID), m.Payload)
	}
	return nil
}

// encryptCall is encryptArgs for a call that is to be stored, and has an id.
func (c *Client) encryptCall(s *Signature) error {
	o := &s.options
	if !o.encrypted || c.keys == nil || isSealed(s.payload) {
		return nil
	}
	key, err := c.maskedKey(s.name, o.id, s.payload, o)
	if err != nil {
		return err
	}
	if key != "" {
		o.change(func(e *extras) { e.uniqueKey = key })
	}
	s.payload = seal(c.keys, argsField, s.name, o.boundTo(o.id), s.payload)
	return nil
}

// maskedKey is what a call is unique by, "" for what it is stored with already. A call whose arguments were encrypted
// before has its key masked as well, unless it has become unique since.
func (c *Client) maskedKey(task, id string, payload []byte, o *options) (string, error) {
	key := []byte(o.extra().uniqueKey)
	sealed := isSealed(payload)
	switch {
	case len(key) > 0 && sealed:
		return "", nil
	case len(key) > 0:
	case o.uniqueFor == 0 && o.throttle == 0: // a debounced task without a key goes by its name
		return "", nil
	case sealed:
		var err error
		if key, err = unseal(c.keys, argsField, task, id, payload); err != nil {
			return "", err
		}
	default:
		key = payload
	}
	return maskedKey(c.keys, task, key), nil
}
