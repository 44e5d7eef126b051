package models

import (
	"errors"
	"strings"
)

// CheckURL tells whether Open can make sense of databaseURL, without opening anything. Its error quotes nothing of the
// URL, which may hold a password, and leaves it to the caller to name the setting.
func CheckURL(databaseURL string) error {
	scheme, rest, _ := strings.Cut(databaseURL, "://")
	switch scheme {
	case "mysql":
		_, _, err := mysqlConfig(databaseURL)
		return err
	case "sqlite":
		if rest == "" || strings.ContainsAny(rest, "?#") {
			return errors.New("want sqlite://FILE or sqlite://:memory:, without options")
		}
		return nil
	}
	return errors.New("must begin with mysql:// or sqlite://")
}
