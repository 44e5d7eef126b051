package boot

import (
	"errors"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/keyring"
	"github.com/paidui/paidui/models/redisx"
)

// Settings that packages below know by name.
const (
	keysSetting   = "PAIDUI_PAYLOAD_KEYS"
	queuesSetting = "PAIDUI_QUEUES"
)

// checks ask the stores' own parsers, so that a URL which they would refuse is reported with the other mistakes.
func checks() config.Checks {
	return config.Checks{"redis": checkRedis, "database": models.CheckURL, "keys": checkKeys, "operators": checkOperators}
}

func checkKeys(text string) error {
	_, err := keyring.Parse(text)
	return err
}

func checkOperators(text string) error {
	_, err := server.ParseKeys(text)
	return err
}

func checkRedis(url string) error {
	_, err := redisx.ParseURL("", url)
	var wrong *redisx.URLError
	if errors.As(err, &wrong) {
		return errors.New(wrong.Msg) // the caller names the setting
	}
	return err
}
