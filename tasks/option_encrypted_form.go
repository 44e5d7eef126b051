package tasks

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/paidui/paidui/models/keyring"
)

// An encrypted value is stored as this JSON, spelled just so: {"paidui_encrypted":"<id of the key>","data":"<base64>"}.
// No other value that is stored begins like it: arguments that do are refused, and any other text gets a space in front.
// So what begins like it is encrypted, or was written by another program; and it is believed only if it authenticates,
// for its task, its id and its place.
const (
	sealedName = "paidui_encrypted"
	sealedHead = `{"` + sealedName + `":"`
	sealedBody = `","data":"`
	sealedTail = `"}`
)

// field says which value of a task is encrypted.
type field string

const (
	argsField     field = "args"
	resultField   field = "result"
	errorField    field = "error"
	progressField field = "progress"
)

// keyContext is what a value is authenticated with. No name and no id has a zero byte in it.
func (f field) keyContext(task, id string) string {
	return strings.Join([]string{"paidui", string(f), task, id}, "\x00")
}

// isSealed reports whether a stored value is an encrypted one.
func isSealed[T []byte | json.RawMessage | string](stored T) bool {
	return len(stored) > len(sealedHead) && string(stored[:len(sealedHead)]) == sealedHead
}

// IsEncrypted reports whether a value of a Record is an encrypted one.
func IsEncrypted(stored string) bool { return isSealed(stored) }

// escaped keeps a value that is not encrypted from being taken for one that is.
func escaped[T []byte | json.RawMessage | string](plain T) T {
	if !isSealed(withoutSpaces(plain)) {
		return plain
	}
	return T(" " + string(plain))
}

// unescaped undoes escaped.
func unescaped[T []byte | json.RawMessage | string](stored T) T {
	if len(stored) > 0 && stored[0] == ' ' && isSealed(withoutSpaces(stored)) {
		return stored[1:]
	}
	return stored
}

func withoutSpaces[T []byte | json.RawMessage | string](text T) T {
	for len(text) > 0 && text[0] == ' ' {
		text = text[1:]
	}
	return text
}

var errSealedForm = fmt.Errorf("it is no encrypted value as Paidui writes them: %w", keyring.ErrForged)

// parseSealed takes an encrypted value apart.
func parseSealed(stored []byte) (keyID string, data []byte, err error) {
	rest, ok := bytes.CutPrefix(stored, []byte(sealedHead))
	if !ok {
		return "", nil, errSealedForm
	}
	rest, ok = bytes.CutSuffix(rest, []byte(sealedTail))
	if !ok {
		return "", nil, errSealedForm
	}
	id, encoded, ok := bytes.Cut(rest, []byte(sealedBody))
	if !ok || len(id) == 0 || len(id) > keyring.MaxID || !consistsOf(string(id), "._-") {
		return "", nil, errSealedForm
	}
	data = make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
	n, err := base64.StdEncoding.Strict().Decode(data, encoded)
	if err != nil || bytes.ContainsAny(encoded, "\r\n") {
		return "", nil, errSealedForm
	}
	return string(id), data[:n], nil
}

func formatSealed(keyID string, data []byte) []byte {
	b := make([]byte, 0, len(sealedHead)+len(keyID)+len(sealedBody)+base64.StdEncoding.EncodedLen(len(data))+len(sealedTail))
	b = append(b, sealedHead...)
	b = append(b, keyID...)
	b = append(b, sealedBody...)
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, sealedTail...)
}

// seal encrypts a value of a task. The ring must not be nil.
func seal(ring *keyring.Ring, f field, task, id string, plain []byte) []byte {
	return formatSealed(ring.Seal(plain, f.keyContext(task, id)))
}

// unseal decrypts what seal returned. Its error is a *KeyError, or wraps keyring.ErrForged. Arguments may be without an
// id: those of a debounced task come from calls whose own ids are no task's.
func unseal(ring *keyring.Ring, f field, task, id string, stored []byte) ([]byte, error) {
	keyID, data, err := parseSealed(stored)
	if err != nil {
		return nil, err
	}
	plain, err := ring.Open(keyID, data, f.keyContext(task, id))
	if f == argsField && errors.Is(err, keyring.ErrForged) {
		plain, err = ring.Open(keyID, data, f.keyContext(task, ""))
	}
	var unknown *keyring.UnknownKeyError
	if errors.As(err, &unknown) {
		return nil, &KeyError{ID: unknown.ID, Other: unknown.Other}
	}
	return plain, err
}

// KeyError says that values of a task can't be decrypted here. It goes away when the setting payload_keys has the key.
type KeyError struct {
	ID    string // the key's
	Other bool   // the setting has another key under the id
}

func (e *KeyError) Error() string {
	if e.Other {
		return fmt.Sprintf("it is encrypted under another key than the one that payload_keys (PAIDUI_PAYLOAD_KEYS) has under the id %q", e.ID)
	}
	return fmt.Sprintf("it is encrypted under the key %q, which payload_keys (PAIDUI_PAYLOAD_KEYS) does not have", e.ID)
}

// maskedKey is what uniqueness goes by instead of arguments, or of a UniqueKey: who reads it can't try values.
func maskedKey(ring *keyring.Ring, task string, key []byte) string {
	return hex.EncodeToString(ring.MAC("paidui\x00unique\x00"+task, key))
}
