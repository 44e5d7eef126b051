package remote

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/paidui/paidui/deploy/localkey"
)

// The variables by which the operator's commands find the API, and who they are there.
const (
	URLVariable     = "PAIDUI_URL"
	KeyVariable     = "PAIDUI_OPERATOR_KEY"
	KeyFileVariable = "PAIDUI_OPERATOR_KEY_FILE"

	// DefaultURL is what `make run` serves.
	DefaultURL = "http://127.0.0.1:8000"
)

// maxKeyFile is the size of the largest file of a key, in bytes.
const maxKeyFile = 4 << 10

// Access is where the API is, and the key with which to ask it.
type Access struct {
	URL string // without a slash at its end
	Key string // "" for none, which some routes do without

	Source string // where the key is from, for errors; "" without a key
}

// AccessFrom reads the environment, by a function as os.LookupEnv. Where that says nothing of a key, a program of the name
// that runs locally on this machine is asked for one, by its file: see localkey.
func AccessFrom(lookup func(string) (string, bool), program string) (Access, error) {
	value := func(name string) string {
		v, _ := lookup(name)
		return strings.TrimSpace(v)
	}
	a := Access{URL: value(URLVariable)}
	var err error
	if a.URL != "" {
		if a.URL, err = checkURL(a.URL); err != nil {
			return a, err
		}
	}
	key, file := value(KeyVariable), value(KeyFileVariable)
	switch {
	case key != "" && file != "":
		return a, UsageErrorf("%s and %s are both set: unset one", KeyVariable, KeyFileVariable)
	case key != "":
		a.Key, a.Source = key, KeyVariable
	case file != "":
		if a.Key, err = readKey(file); err != nil {
			return a, UsageErrorf("%s: %w", KeyFileVariable, err)
		}
		a.Source = KeyFileVariable
	default:
		if err := a.fromLocal(localkey.Of(program)); err != nil {
			return a, err
		}
	}
	if a.URL == "" {
		a.URL = DefaultURL
	}
	return a, checkKey(a)
}

// fromLocal takes the key of a program that runs locally. It goes to that program alone: not to another address.
func (a *Access) fromLocal(file string) error {
	local, err := localkey.Read(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return UsageErrorf("the key of the local program can't be used: %w; set %s", err, KeyVariable)
	case a.URL != "" && a.URL != local.URL:
		return nil
	}
	if a.URL, err = checkURL(local.URL); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	a.Key, a.Source = local.Key, file
	return nil
}

func checkURL(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return "", UsageErrorf("%s: it is not the URL of an API, as http://host:8000", URLVariable)
	case u.User != nil:
		return "", UsageErrorf("%s: it holds a name or a password: the key belongs into %s or %s", URLVariable, KeyVariable, KeyFileVariable)
	case u.RawQuery != "" || u.Fragment != "":
		return "", UsageErrorf("%s: it has a query or a fragment, which no API's address has", URLVariable)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func readKey(file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(string(content))
	switch {
	case len(content) > maxKeyFile:
		return "", fmt.Errorf("%s is larger than %d bytes: it holds the key and nothing else", file, maxKeyFile)
	case key == "":
		return "", fmt.Errorf("%s is empty", file)
	}
	return key, nil
}

// checkKey refuses what can't be sent in a header, without showing it.
func checkKey(a Access) error {
	for _, r := range a.Key {
		if r <= ' ' || r > '~' {
			return UsageErrorf("%s: the key has a blank, a line break, or a character beyond ASCII, which no key has", a.Source)
		}
	}
	return nil
}

// Language is what to ask the API's messages in, by the locale's variables: zh or en.
func Language(lookup func(string) (string, bool)) string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v, _ := lookup(name); v != "" {
			if strings.HasPrefix(strings.ToLower(v), "zh") {
				return "zh"
			}
			return "en"
		}
	}
	return "en"
}
