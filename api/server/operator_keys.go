package server

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
)

// Role is what the owner of a key may do.
type Role string

const (
	// RoleObserver reads what operators read, but not the arguments, results and errors of tasks, unless
	// Options.ObserversSeeArguments.
	RoleObserver Role = "observer"
	// RoleOperator does everything.
	RoleOperator Role = "operator"
)

// Key is what a program or a person sends as bearer token. Several keys may have one name, so that a new one can be in use
// before the old one is taken away.
type Key struct {
	Name   string // 1 to 64 of a-z 0-9 _ . -
	Role   Role
	Secret string

	place string // where it was read
}

// StandardOperator is the name of the operator who sends Options.OperatorKey.
const StandardOperator = "operator"

const (
	minKey      = 16 // bytes
	maxKey      = 512
	minDistinct = 5 // characters
	maxKeys     = 1000
)

var keyName = regexp.MustCompile(`^[a-z0-9_.-]{1,64}$`)

// ParseKeys reads keys as one text: "alice=operator:KEY,wall=observer:KEY". The error names each wrong entry by its place, and
// quotes no key.
func ParseKeys(text string) ([]Key, error) {
	return parseKeys(strings.Split(text, ","), "entry")
}

// ParseKeyLines reads keys as a file has them, one on each line in the form of ParseKeys. Empty lines, and those that begin
// with #, are left out. One key there must be. The error names each wrong line by its number, and quotes no key.
func ParseKeyLines(text string) ([]Key, error) {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			lines[i] = ""
		}
	}
	return parseKeys(lines, "line")
}

func parseKeys(entries []string, place string) ([]Key, error) {
	var keys []Key
	var faults []error
	for i, entry := range entries {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		key, err := parseKey(entry)
		key.place = fmt.Sprintf("%s %d", place, i+1)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", key.place, err))
			continue
		}
		keys = append(keys, key)
	}
	if len(keys)+len(faults) == 0 {
		faults = append(faults, errors.New("there is no key in it")) // half a file, perhaps
	}
	faults = append(faults, checkTwice(keys))
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return keys, nil
}

// parseKey reads name=role:KEY. Whatever part is wrong may be the key itself, put in the wrong place, so none is quoted.
func parseKey(entry string) (Key, error) {
	name, rest, named := strings.Cut(entry, "=")
	role, secret, ruled := strings.Cut(rest, ":")
	key := Key{Name: strings.TrimSpace(name), Role: Role(strings.TrimSpace(role)), Secret: strings.TrimSpace(secret)}
	if !named || !ruled {
		return Key{}, errors.New("it is not name=role:KEY, such as alice=operator:KEY")
	}
	return key, errors.Join(key.checkName(), key.checkSecret())
}

func (k Key) checkName() error {
	switch {
	case !keyName.MatchString(k.Name):
		return errors.New("its name is not made of 1 to 64 of a-z 0-9 _ . -")
	case k.Role != RoleObserver && k.Role != RoleOperator:
		return fmt.Errorf("its role is neither %s nor %s", RoleOperator, RoleObserver)
	case k.Secret == "":
		return errors.New("its key is missing")
	}
	return nil
}

func (k Key) checkSecret() error {
	switch {
	case k.Secret == "": // checkName said so
	case len(k.Secret) < minKey:
		return fmt.Errorf("its key has %d bytes; it needs at least %d", len(k.Secret), minKey)
	case len(k.Secret) > maxKey:
		return fmt.Errorf("its key has %d bytes; it may have %d at most", len(k.Secret), maxKey)
	case strings.ContainsFunc(k.Secret, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) || unicode.IsSpace(r) }):
		return errors.New("its key has a blank, or a character that is not visible ASCII, which no header carries")
	case distinctBytes(k.Secret) < minDistinct:
		return fmt.Errorf("its key has fewer than %d different characters and is soon guessed; `openssl rand -hex %d` makes one", minDistinct, minKey)
	}
	return nil
}

func distinctBytes(text string) int {
	seen := make(map[byte]bool)
	for i := range len(text) {
		seen[text[i]] = true
	}
	return len(seen)
}

// checkTwice finds one key that two entries give to different names or roles.
func checkTwice(keys []Key) error {
	if len(keys) > maxKeys {
		return fmt.Errorf("there are %d keys; there may be %d at most", len(keys), maxKeys)
	}
	first := make(map[string]Key, len(keys))
	for _, key := range keys {
		other, twice := first[key.Secret]
		if twice && (other.Name != key.Name || other.Role != key.Role) {
			return fmt.Errorf("%s: its key is that of %s, which has another name or role",
				cmp.Or(key.place, "a key"), cmp.Or(other.place, "the operator "+StandardOperator))
		}
		first[key.Secret] = key
	}
	return nil
}

// OperatorKeys are keys with their names and roles. Those of a file can be replaced while servers use them. It is safe for
// concurrent use.
type OperatorKeys struct {
	mu    sync.Mutex // held while keys are replaced
	fixed []Key
	all   atomic.Pointer[[]knownKey]
}

// knownKey is a key as it is compared.
type knownKey struct {
	name string
	role Role
	sum  [sha256.Size]byte
}

// NewOperatorKeys makes them of those that do not change. What ParseKeys and ParseKeyLines want of a key, such as its length,
// is not asked of these.
func NewOperatorKeys(fixed ...Key) (*OperatorKeys, error) {
	k := &OperatorKeys{fixed: fixed}
	if err := k.Replace(nil); err != nil {
		return nil, err
	}
	return k, nil
}

// Replace takes other keys in the place of those of the last call, beside the fixed ones. With an error nothing changes.
func (k *OperatorKeys) Replace(keys []Key) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := slices.Concat(k.fixed, keys)
	known := make([]knownKey, len(all))
	for i, key := range all {
		if err := key.checkName(); err != nil {
			return fmt.Errorf("%s: %w", cmp.Or(key.place, "a key"), err)
		}
		known[i] = knownKey{key.Name, key.Role, sha256.Sum256([]byte(key.Secret))}
	}
	if err := checkTwice(all); err != nil {
		return err
	}
	k.all.Store(&known)
	return nil
}

// Match tells whose key a token is. It compares the digests of all keys, whichever matches, so that the time it takes depends
// on neither the token nor the key.
func (k *OperatorKeys) Match(token string) (name string, role Role, ok bool) {
	if k == nil {
		return "", "", false
	}
	return matchKey(*k.all.Load(), token)
}

func matchKey(known []knownKey, token string) (name string, role Role, ok bool) {
	sum := sha256.Sum256([]byte(token))
	found := 0 // 1 more than the place of the match
	for i := range known {
		same := subtle.ConstantTimeCompare(sum[:], known[i].sum[:])
		found = subtle.ConstantTimeSelect(same, i+1, found)
	}
	if found == 0 {
		return "", "", false
	}
	return known[found-1].name, known[found-1].role, true
}
