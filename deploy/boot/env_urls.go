package boot

import (
	"errors"

	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/keyring"
	"github.com/paidui/paidui/models/redisx"
)

// Settings that packages below check.
const (
	brokerSetting  = "PAIDUI_BROKER_URL"
	cacheSetting   = "PAIDUI_CACHE_URL"
	replicaSetting = "PAIDUI_CACHE_REPLICA_URL"
	keysSetting    = "PAIDUI_PAYLOAD_KEYS"
)

// urlChecks ask the stores' own parsers, so that a URL which they would refuse is reported with the other mistakes.
func urlChecks() config.URLChecks {
	return config.URLChecks{
		brokerSetting:  checkRedis,
		cacheSetting:   checkRedis,
		replicaSetting: checkRedis,
		models.Setting: models.CheckURL,
		keysSetting:    checkKeys,
	}
}

func checkKeys(text string) error {
	_, err := keyring.Parse(text)
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
