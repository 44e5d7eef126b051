package shop

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/paidui/paidui/api/server"
	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
)

// Settings are the shop's own, beside Paidui's: package config says what the tags mean.
type Settings struct {
	BackendURL     string `env:"PAIDUI_BACKEND_URL" yaml:"backend_url" default:"http://127.0.0.1:8000" form:"web" in:"api worker" help:"what a browser reaches the API at; makes image addresses absolute"`
	WritesPerUser  int    `env:"PAIDUI_WRITES_PER_USER" yaml:"writes_per_user" default:"5" range:"0..1000000" in:"api" help:"articles, followings and profile changes of one user, a second; ten times as many at once; 0 for no limit"`
	SeckillPerUser int    `env:"PAIDUI_SECKILL_PER_USER" yaml:"seckill_per_user" default:"10" range:"0..1000000" in:"api" help:"seckill requests of one user, a second; twice as many at once; 0 for no limit"`

	JWTSecret         config.Secret `env:"PAIDUI_JWT_SECRET" yaml:"jwt_secret" bytes:"32" required:"api" in:"api" help:"signs the users' tokens, at least 32 bytes; api needs it"`
	JWTSecretPrevious config.Secret `env:"PAIDUI_JWT_SECRET_PREVIOUS" yaml:"jwt_secret_previous" bytes:"32" in:"api" help:"the secret before the last change: tokens that it signed are still taken"`
	JWTLifetime       time.Duration `env:"PAIDUI_JWT_LIFETIME" yaml:"jwt_lifetime" default:"168h" range:"1m..8760h" in:"api" help:"how long a user stays logged in"`

	CacheURL        config.URL    `env:"PAIDUI_CACHE_URL" yaml:"cache_url" default:"redis://127.0.0.1:6379/2" defaults:"local=" form:"redis" in:"api worker" help:"Redis of the cache, same forms"`
	CacheReplicaURL config.URL    `env:"PAIDUI_CACHE_REPLICA_URL" yaml:"cache_replica_url" form:"redis" in:"api worker" help:"replica of the cache's Redis, read while that does not answer; sentinel and cluster find theirs"`
	CacheNear       int           `env:"PAIDUI_CACHE_NEAR" yaml:"cache_near" default:"10000" range:"0..10000000" in:"api worker" help:"values that each cache keeps in the process, before Redis; 0 for none"`
	CacheNearExpiry time.Duration `env:"PAIDUI_CACHE_NEAR_EXPIRY" yaml:"cache_near_expiry" default:"1s" range:"0s..1m" in:"api worker" help:"how old they get at most, should the message of a change be lost"`

	SMSProvider     string `env:"PAIDUI_SMS_PROVIDER" yaml:"sms_provider" default:"outbox" oneof:"outbox|tencent" in:"api worker" help:"who sends SMS: outbox keeps them in a table, for development"`
	OutboxPublic    bool   `env:"PAIDUI_OUTBOX_PUBLIC" yaml:"outbox_public" default:"false" defaults:"local=true" in:"api" help:"anybody may read at /v1/outbox the codes that the SMS provider outbox kept; false leaves that to operators"`
	SMSPerMinute    int    `env:"PAIDUI_SMS_PER_MINUTE" yaml:"sms_per_minute" default:"1" range:"1..60" in:"api" help:"codes that may be asked for in a minute for one number"`
	SMSPerDay       int    `env:"PAIDUI_SMS_PER_DAY" yaml:"sms_per_day" default:"10" range:"1..1000" in:"api" help:"codes that may be asked for in a day for one number; half of them from one address. Addresses it logged in from have as many of their own"`
	SMSPerAddress   int    `env:"PAIDUI_SMS_PER_ADDRESS" yaml:"sms_per_address" default:"20" range:"1..1000000" in:"api" help:"codes one client address may ask for in an hour; the /48 of an IPv6 address four times as many"`
	SMSPerMinuteAll int    `env:"PAIDUI_SMS_PER_MINUTE_ALL" yaml:"sms_per_minute_all" default:"600" range:"0..1000000" in:"api" help:"codes that may be asked for in a minute in all; 0 for no limit"`

	TencentSecretID   config.Secret `env:"PAIDUI_TENCENT_SECRET_ID" yaml:"tencent_secret_id" in:"worker" help:"Tencent Cloud API key id"`
	TencentSecretKey  config.Secret `env:"PAIDUI_TENCENT_SECRET_KEY" yaml:"tencent_secret_key" in:"worker" help:"Tencent Cloud API key"`
	TencentAppID      string        `env:"PAIDUI_TENCENT_APP_ID" yaml:"tencent_app_id" in:"worker" help:"SdkAppId of the SMS application"`
	TencentSignName   string        `env:"PAIDUI_TENCENT_SIGN_NAME" yaml:"tencent_sign_name" in:"worker" help:"approved signature"`
	TencentTemplateID string        `env:"PAIDUI_TENCENT_TEMPLATE_ID" yaml:"tencent_template_id" in:"worker" help:"approved template, with the code and its minutes as parameters"`
	TencentRegion     string        `env:"PAIDUI_TENCENT_REGION" yaml:"tencent_region" default:"ap-guangzhou" in:"worker" help:"region of the SMS service"`
	TencentEndpoint   string        `env:"PAIDUI_TENCENT_ENDPOINT" yaml:"tencent_endpoint" default:"sms.tencentcloudapi.com" in:"worker" help:"host of the SMS service, or an http:// or https:// URL"`

	BannerCount    int    `env:"PAIDUI_BANNER_COUNT" yaml:"banner_count" default:"3" range:"1..100" in:"api worker" help:"banners shown at most"`
	BannerStrategy string `env:"PAIDUI_BANNER_STRATEGY" yaml:"banner_strategy" default:"delete" someof:"delete|update|periodic" in:"api worker" help:"what a write to the banners does to the cached list"`
}

// Values of Settings.SMSProvider.
const (
	SMSOutbox  = "outbox"
	SMSTencent = "tencent"
)

// Settings that packages below know by name.
const (
	cacheSetting    = "PAIDUI_CACHE_URL"
	replicaSetting  = "PAIDUI_CACHE_REPLICA_URL"
	operatorSetting = "PAIDUI_OPERATOR_KEY"
)

// Check implements config.Checker.
func (s *Settings) Check(p config.Program, c config.Config) (mistakes []config.Mistake) {
	add := func(variable, format string, args ...any) {
		mistakes = append(mistakes, config.Mistake{Variable: variable, Reason: fmt.Sprintf(format, args...)})
	}
	if key := c.OperatorKey; key != "" && (key == s.JWTSecret || key == s.JWTSecretPrevious) {
		add(operatorSetting, "is the same as a JWT secret: an operator could log in as any user; `openssl rand -hex 16` makes one")
	}
	named, _ := server.ParseKeys(c.OperatorKeys.Reveal()) // what is wrong with them is said elsewhere
	for _, key := range named {
		if key.Secret == s.JWTSecret.Reveal() || key.Secret == s.JWTSecretPrevious.Reveal() {
			add("PAIDUI_OPERATOR_KEYS", "has a JWT secret as the key of %s, who could log in as any user; `openssl rand -hex 16` makes one", key.Name)
		}
	}
	if s.SMSProvider == SMSTencent {
		s.checkTencent(p, add)
	}
	return mistakes
}

func (s *Settings) checkTencent(p config.Program, add func(variable, format string, args ...any)) {
	const endpoint = "PAIDUI_TENCENT_ENDPOINT"
	if host := s.TencentEndpoint; strings.Contains(host, "://") {
		if err := config.CheckWeb(host); err != nil {
			add(endpoint, "%v", err)
		}
	} else if u, err := url.Parse("//" + host); err != nil || u.Host != host || u.Hostname() == "" {
		add(endpoint, "%q is neither a host nor a URL", host)
	}
	if p != config.Worker && p != config.Local {
		return // only workers send
	}
	for variable, value := range map[string]string{
		"PAIDUI_TENCENT_SECRET_ID":   s.TencentSecretID.Reveal(),
		"PAIDUI_TENCENT_SECRET_KEY":  s.TencentSecretKey.Reveal(),
		"PAIDUI_TENCENT_APP_ID":      s.TencentAppID,
		"PAIDUI_TENCENT_SIGN_NAME":   s.TencentSignName,
		"PAIDUI_TENCENT_TEMPLATE_ID": s.TencentTemplateID,
		"PAIDUI_TENCENT_REGION":      s.TencentRegion,
	} {
		if value == "" {
			add(variable, "is required with the SMS provider %s", SMSTencent)
		}
	}
}

// defaultBackendURL is what local replaces by the address that it really has.
const defaultBackendURL = "http://127.0.0.1:8000"

// fill makes what local leaves out.
func (s *Settings) fill(ctx context.Context, h *boot.Host) error {
	if h.Program != config.Local {
		return nil
	}
	if s.BackendURL == defaultBackendURL {
		s.BackendURL = h.URL
	}
	if s.JWTSecret == "" {
		s.JWTSecret = config.Secret(rand.Text() + rand.Text())
	}
	if s.CacheURL == "" {
		url, err := h.EmbeddedRedis(ctx, 2)
		if err != nil {
			return err
		}
		s.CacheURL = config.URL(url)
	}
	return nil
}

// tellOfOutbox says who can read the codes that others log in with. On this machine alone, all may in the local program.
func tellOfOutbox(ctx context.Context, logger *slog.Logger, p config.Program, s Settings, addr net.Addr) {
	tcp, ok := addr.(*net.TCPAddr)
	here := ok && tcp.IP.IsLoopback()
	switch {
	case s.SMSProvider != SMSOutbox:
	case !s.OutboxPublic:
		logger.InfoContext(ctx, "login codes are not sent: operators read them at /v1/outbox; PAIDUI_OUTBOX_PUBLIC=true shows"+
			" them to anybody")
	case p != config.Local || !here:
		logger.WarnContext(ctx, "login codes are public: whoever reaches this address reads them at /v1/outbox and logs in as"+
			" anybody; PAIDUI_OUTBOX_PUBLIC=true is for development", "addr", addr.String())
	}
}
