// Package keyring encrypts values with AES-256-GCM under the first key of a ring, decrypts them under any, and makes keyed
// digests. What a key is used for has a key of its own, derived by HKDF-SHA256.
package keyring

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

const (
	// KeySize is the length of a key, in bytes.
	KeySize = 32
	// MaxID bounds the id of a key, in bytes.
	MaxID = 32
	// MaxKeys bounds a ring.
	MaxKeys = 16
	// checkSize is the length of what tells two keys of one id apart.
	checkSize = 4
)

// ErrForged says that a value is not what was encrypted for its context: it was changed, or belongs elsewhere.
var ErrForged = errors.New("it does not authenticate: it was changed, or encrypted for another place")

// UnknownKeyError says that a value was encrypted under a key that the ring does not have.
type UnknownKeyError struct {
	ID    string
	Other bool // the ring has another key under the id
}

func (e *UnknownKeyError) Error() string {
	if e.Other {
		return fmt.Sprintf("another key has the id %q", e.ID)
	}
	return fmt.Sprintf("there is no key %q", e.ID)
}

// Ring is an ordered set of keys. A nil Ring has none: it decrypts nothing. It is safe for concurrent use, does not
// change, and prints without its keys.
type Ring struct {
	keys []*key
	mac  []byte
}

// key is what is derived from one key.
type key struct {
	id    string
	aead  cipher.AEAD // puts a random nonce before what it seals
	check []byte
	mac   []byte
}

// Parse reads "id:base64 of 32 bytes,id2:…"; "" gives a nil Ring. An id has 1 to 32 of the characters A-Z a-z 0-9 . _ -.
// No error has a part of a key in it.
func Parse(text string) (*Ring, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	r := new(Ring)
	for i, entry := range strings.Split(text, ",") {
		id, encoded, ok := strings.Cut(strings.TrimSpace(entry), ":")
		switch {
		case i == MaxKeys:
			return nil, fmt.Errorf("has more than %d keys", MaxKeys)
		case !ok, !validID(id): // what stands there may be a key
			return nil, fmt.Errorf("entry %d does not begin with the id of a key, 1 to %d of A-Z a-z 0-9 . _ -, and a colon", i+1, MaxID)
		case r.find(id) != nil:
			return nil, fmt.Errorf("two keys have the id %q", id)
		}
		raw, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(encoded))
		switch {
		case err != nil:
			return nil, fmt.Errorf("the key %q is not in base64; `openssl rand -base64 %d` makes one", id, KeySize)
		case len(raw) != KeySize:
			return nil, fmt.Errorf("the key %q has %d bytes instead of %d; `openssl rand -base64 %[3]d` makes one", id, len(raw), KeySize)
		case len(slices.Compact(slices.Sorted(slices.Values(raw)))) < KeySize/4:
			return nil, fmt.Errorf("the key %q is not random; `openssl rand -base64 %d` makes one", id, KeySize)
		}
		k, err := newKey(id, raw)
		if err != nil {
			return nil, fmt.Errorf("the key %q: %w", id, err)
		}
		r.keys = append(r.keys, k)
	}
	r.mac = slices.MinFunc(r.keys, func(a, b *key) int { return compareIDs(a.id, b.id) }).mac
	return r, nil
}

func validID(id string) bool {
	return id != "" && len(id) <= MaxID && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == ""
}

// compareIDs has k9 before k10.
func compareIDs(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) }

func newKey(id string, raw []byte) (*key, error) {
	var derived [3][]byte
	for i, use := range []struct {
		name string
		size int
	}{{"encryption", KeySize}, {"digests", sha256.Size}, {"check", checkSize}} {
		var err error
		if derived[i], err = hkdf.Key(sha256.New, raw, nil, "paidui keyring: "+use.name, use.size); err != nil {
			return nil, err
		}
	}
	block, err := aes.NewCipher(derived[0])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &key{id: id, aead: aead, mac: derived[1], check: derived[2]}, nil
}

func (r *Ring) find(id string) *key {
	if r == nil {
		return nil
	}
	for _, k := range r.keys {
		if k.id == id {
			return k
		}
	}
	return nil
}

// IDs are those of the keys, the first one's first.
func (r *Ring) IDs() []string {
	if r == nil {
		return nil
	}
	ids := make([]string, len(r.keys))
	for i, k := range r.keys {
		ids[i] = k.id
	}
	return ids
}

// Seal encrypts a value under the first key, whose id it returns. context says what the value is; Open wants the same.
// The ring must not be nil.
func (r *Ring) Seal(value []byte, context string) (id string, data []byte) {
	k := r.keys[0]
	data = make([]byte, checkSize, checkSize+k.aead.Overhead()+len(value))
	copy(data, k.check)
	return k.id, k.aead.Seal(data, nil, value, []byte(context))
}

// Open decrypts what Seal returned. Its error is an *UnknownKeyError or ErrForged.
func (r *Ring) Open(id string, data []byte, context string) ([]byte, error) {
	k := r.find(id)
	switch {
	case k == nil:
		return nil, &UnknownKeyError{ID: id}
	case len(data) < checkSize:
		return nil, ErrForged
	case !bytes.Equal(data[:checkSize], k.check):
		return nil, &UnknownKeyError{ID: id, Other: true}
	}
	value, err := k.aead.Open(nil, nil, data[checkSize:], []byte(context))
	if err != nil {
		return nil, ErrForged
	}
	return value, nil
}

// MAC is a digest of a value that nobody can make, or try values for, without the keys: HMAC-SHA256. It goes by the key
// whose id sorts first (k9 before k10), which is the oldest where ids count up: so it stays the same when a younger key
// is added and when that becomes the first, and changes when the oldest is taken out. The ring must not be nil.
func (r *Ring) MAC(context string, value []byte) []byte {
	mac := hmac.New(sha256.New, r.mac)
	fmt.Fprintf(mac, "%d:%s", len(context), context)
	mac.Write(value)
	return mac.Sum(nil)
}

// String names the keys.
func (r *Ring) String() string { return "keyring(" + strings.Join(r.IDs(), ", ") + ")" }

// GoString is String.
func (r *Ring) GoString() string { return r.String() }

// LogValue gives String to slog.
func (r *Ring) LogValue() slog.Value { return slog.StringValue(r.String()) }
