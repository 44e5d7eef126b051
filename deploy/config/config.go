// Package config holds every setting of Paidui's programs and reads them from, in rising order of precedence: the
// defaults, a YAML file (--config), the environment and the command line.
//
// A setting is one field of Config. Its tags name the variable and the YAML key, give the default and the help line,
// and carry the simple checks; Help, the flags, the parsing and the validation are all made from them. The YAML key
// is the variable's name without PAIDUI_, in lower case. An empty value, wherever it stands, means the default.
package config

import (
	"log/slog"
	"time"
	_ "time/tzdata" // time zones on machines that have none of their own
)

// Program is the program that is being configured: some defaults differ, and not every setting is required by all.
type Program string

// The programs. Migrate stands for the commands of api that only touch the database: they need no secrets.
const (
	API       Program = "api"
	Worker    Program = "worker"
	Scheduler Program = "scheduler"
	Local     Program = "paidui"
	Migrate   Program = "migrate"
)

// Values of Config.SMSProvider.
const (
	SMSOutbox  = "outbox"
	SMSTencent = "tencent"
)

// Values of Config.BannerStrategy, alone or several with commas between: what a committed write to the banners does to the
// cached list.
const (
	BannerDelete   = "delete"
	BannerUpdate   = "update"
	BannerPeriodic = "periodic"
)

// Config is the whole configuration. The one that Load returns has been validated, and prints without its secrets.
//
// Tags: env and yaml name the setting; default is its default, and defaults overrides it for single programs
// ("program=value", separated by spaces); range, oneof and someof limit it; flag gives it a flag ("long" or "long,s"); in
// names the programs that use it, paidui aside, which uses every setting, and all do when the tag is left out; help
// describes it. A field whose type has a method Reveal can also be read from a file: PAIDUI_JWT_SECRET_FILE names it.
type Config struct {
	HTTPAddr           string        `env:"PAIDUI_HTTP_ADDR" yaml:"http_addr" default:"127.0.0.1:8000" in:"api" help:"address of the HTTP API, host:port; an empty host means every interface"`
	TLSCertFile        string        `env:"PAIDUI_TLS_CERT_FILE" yaml:"tls_cert_file" in:"api" help:"PEM file of the certificate, with its chain, by which the HTTP API speaks TLS; read again when it changes; plain HTTP when empty"`
	TLSKeyFile         string        `env:"PAIDUI_TLS_KEY_FILE" yaml:"tls_key_file" in:"api" help:"PEM file of its key"`
	AdminAddr          string        `env:"PAIDUI_ADMIN_ADDR" yaml:"admin_addr" defaults:"api=127.0.0.1:9000 worker=127.0.0.1:9001 scheduler=127.0.0.1:9002 paidui=127.0.0.1:9000" in:"api worker scheduler" help:"address of /healthz, /readyz, /metrics and /debug/pprof; keep it private"`
	Pprof              bool          `env:"PAIDUI_PPROF" yaml:"pprof" default:"false" in:"api worker scheduler" help:"serve /debug/pprof on the admin address to anybody; false asks for the operator's key"`
	BackendURL         string        `env:"PAIDUI_BACKEND_URL" yaml:"backend_url" default:"http://127.0.0.1:8000" in:"api worker" help:"what a browser reaches the API at; makes image addresses absolute"`
	Language           string        `env:"PAIDUI_LANGUAGE" yaml:"language" default:"zh" oneof:"zh|en" in:"api" help:"language of messages to clients that ask for none, or for none that there is"`
	CORSOrigins        List          `env:"PAIDUI_CORS_ORIGINS" yaml:"cors_origins" in:"api" help:"origins whose pages may call the API, as https://shop.example.com,...; * for any"`
	TrustedProxies     Networks      `env:"PAIDUI_TRUSTED_PROXIES" yaml:"trusted_proxies" in:"api" help:"proxies whose X-Forwarded-For is believed, as 10.0.0.0/8,192.168.1.7"`
	HTTPQueueWait      time.Duration `env:"PAIDUI_HTTP_QUEUE_WAIT" yaml:"http_queue_wait" default:"500ms" range:"0s..1m" in:"api" help:"how long a request waits for its turn when too many come to its route at once, before it is refused; 0s for no limit"`
	WritesPerUser      int           `env:"PAIDUI_WRITES_PER_USER" yaml:"writes_per_user" default:"5" range:"0..1000000" in:"api" help:"articles, followings and profile changes of one user, a second; ten times as many at once; 0 for no limit"`
	SeckillPerUser     int           `env:"PAIDUI_SECKILL_PER_USER" yaml:"seckill_per_user" default:"10" range:"0..1000000" in:"api" help:"seckill requests of one user, a second; twice as many at once; 0 for no limit"`
	RequestsPerAddress int           `env:"PAIDUI_REQUESTS_PER_ADDRESS" yaml:"requests_per_address" default:"200" range:"0..1000000" in:"api" help:"those, logins and codes asked for, of one client address, a second; ten times as many at once; 0 for no limit"`
	MaxConnections     int           `env:"PAIDUI_MAX_CONNECTIONS" yaml:"max_connections" default:"0" range:"0..10000000" in:"api" help:"connections of clients that may be open at once; 0 for what ulimit -n allows beside the stores, at most 65536"`
	MaxPerAddress      int           `env:"PAIDUI_MAX_CONNECTIONS_PER_ADDRESS" yaml:"max_connections_per_address" default:"0" range:"0..10000000" in:"api" help:"of them those of one client address, trusted_proxies aside; 0 for half"`
	JWTSecret          Secret        `env:"PAIDUI_JWT_SECRET" yaml:"jwt_secret" in:"api" help:"signs the users' tokens, at least 32 bytes; api needs it"`
	OperatorKey        Secret        `env:"PAIDUI_OPERATOR_KEY" yaml:"operator_key" in:"api worker scheduler" help:"what an operator sends as bearer token, at least 16 bytes; api needs it, others for /debug/pprof alone"`
	JWTSecretPrevious  Secret        `env:"PAIDUI_JWT_SECRET_PREVIOUS" yaml:"jwt_secret_previous" in:"api" help:"the secret before the last change: tokens that it signed are still taken"`
	JWTLifetime        time.Duration `env:"PAIDUI_JWT_LIFETIME" yaml:"jwt_lifetime" default:"168h" range:"1m..8760h" in:"api" help:"how long a user stays logged in"`
	PayloadKeys        Secret        `env:"PAIDUI_PAYLOAD_KEYS" yaml:"payload_keys" in:"api worker scheduler" help:"keys of encrypted tasks, id:base64 of 32 bytes, with commas between; the first encrypts, all decrypt; none leave them in the clear"`

	BrokerURL       URL `env:"PAIDUI_BROKER_URL" yaml:"broker_url" default:"redis://127.0.0.1:6379/1" defaults:"paidui=" in:"api worker scheduler" help:"Redis of the tasks: redis:// rediss:// redis+sentinel:// redis+cluster://"`
	CacheURL        URL `env:"PAIDUI_CACHE_URL" yaml:"cache_url" default:"redis://127.0.0.1:6379/2" defaults:"paidui=" in:"api worker" help:"Redis of the cache, same forms"`
	CacheReplicaURL URL `env:"PAIDUI_CACHE_REPLICA_URL" yaml:"cache_replica_url" in:"api worker" help:"replica of the cache's Redis, read while that does not answer; sentinel and cluster find theirs"`
	DatabaseURL     URL `env:"PAIDUI_DATABASE_URL" yaml:"database_url" default:"mysql://root@127.0.0.1:3306/paidui" defaults:"paidui=sqlite://.paidui/paidui.db" in:"api worker scheduler migrate" help:"mysql://user:password@host:port/name or sqlite://FILE; a scheduler opens it for durable schedules only"`

	CacheNear       int           `env:"PAIDUI_CACHE_NEAR" yaml:"cache_near" default:"10000" range:"0..10000000" in:"api worker" help:"values that each cache keeps in the process, before Redis; 0 for none"`
	CacheNearExpiry time.Duration `env:"PAIDUI_CACHE_NEAR_EXPIRY" yaml:"cache_near_expiry" default:"1s" range:"0s..1m" in:"api worker" help:"how old they get at most, should the message of a change be lost"`

	BrokerPipelining bool `env:"PAIDUI_BROKER_PIPELINING" yaml:"broker_pipelining" default:"true" in:"api worker scheduler" help:"calls of the same moment share a round trip to the broker; false sends each call alone, slower"`
	BrokerWakeUp     bool `env:"PAIDUI_BROKER_WAKE_UP" yaml:"broker_wake_up" default:"true" in:"api worker scheduler" help:"idle workers are woken for a task; false has them ask regularly"`

	History bool `env:"PAIDUI_HISTORY" yaml:"history" default:"true" in:"api worker" help:"api and workers keep a record of every task in the database, for GET /v1/tasks; false writes none"`

	SMSProvider       string `env:"PAIDUI_SMS_PROVIDER" yaml:"sms_provider" default:"outbox" oneof:"outbox|tencent" in:"api worker" help:"who sends SMS: outbox keeps them in a table, for development"`
	OutboxPublic      bool   `env:"PAIDUI_OUTBOX_PUBLIC" yaml:"outbox_public" default:"false" defaults:"paidui=true" in:"api" help:"anybody may read at /v1/outbox the codes that the SMS provider outbox kept; false leaves that to operators"`
	SMSPerMinute      int    `env:"PAIDUI_SMS_PER_MINUTE" yaml:"sms_per_minute" default:"1" range:"1..60" in:"api" help:"codes that may be asked for in a minute for one number"`
	SMSPerDay         int    `env:"PAIDUI_SMS_PER_DAY" yaml:"sms_per_day" default:"10" range:"1..1000" in:"api" help:"codes that may be asked for in a day for one number; half of them from one address. Addresses it logged in from have as many of their own"`
	SMSPerAddress     int    `env:"PAIDUI_SMS_PER_ADDRESS" yaml:"sms_per_address" default:"20" range:"1..1000000" in:"api" help:"codes one client address may ask for in an hour; the /48 of an IPv6 address four times as many"`
	SMSPerMinuteAll   int    `env:"PAIDUI_SMS_PER_MINUTE_ALL" yaml:"sms_per_minute_all" default:"600" range:"0..1000000" in:"api" help:"codes that may be asked for in a minute in all; 0 for no limit"`
	TencentSecretID   Secret `env:"PAIDUI_TENCENT_SECRET_ID" yaml:"tencent_secret_id" in:"worker" help:"Tencent Cloud API key id"`
	TencentSecretKey  Secret `env:"PAIDUI_TENCENT_SECRET_KEY" yaml:"tencent_secret_key" in:"worker" help:"Tencent Cloud API key"`
	TencentAppID      string `env:"PAIDUI_TENCENT_APP_ID" yaml:"tencent_app_id" in:"worker" help:"SdkAppId of the SMS application"`
	TencentSignName   string `env:"PAIDUI_TENCENT_SIGN_NAME" yaml:"tencent_sign_name" in:"worker" help:"approved signature"`
	TencentTemplateID string `env:"PAIDUI_TENCENT_TEMPLATE_ID" yaml:"tencent_template_id" in:"worker" help:"approved template, with the code and its minutes as parameters"`
	TencentRegion     string `env:"PAIDUI_TENCENT_REGION" yaml:"tencent_region" default:"ap-guangzhou" in:"worker" help:"region of the SMS service"`
	TencentEndpoint   string `env:"PAIDUI_TENCENT_ENDPOINT" yaml:"tencent_endpoint" default:"sms.tencentcloudapi.com" in:"worker" help:"host of the SMS service, or an http:// or https:// URL"`

	Schedules      string `env:"PAIDUI_SCHEDULES" yaml:"schedules" in:"scheduler" help:"file of the periodic tasks; when empty, deploy/schedules.yaml, or the shipped ones where that does not exist"`
	Timezone       string `env:"PAIDUI_TIMEZONE" yaml:"timezone" default:"Asia/Shanghai" in:"api scheduler" help:"IANA time zone of schedules and of the daily SMS limit"`
	BannerCount    int    `env:"PAIDUI_BANNER_COUNT" yaml:"banner_count" default:"3" range:"1..100" in:"api worker" help:"banners shown at most"`
	BannerStrategy string `env:"PAIDUI_BANNER_STRATEGY" yaml:"banner_strategy" default:"delete" someof:"delete|update|periodic" in:"api worker" help:"what a write to the banners does to the cached list"`

	Routes Routes `env:"PAIDUI_ROUTES" yaml:"routes" in:"api worker scheduler" help:"queues of tasks by name, as sms.*=fast,report.*=low; the first pattern that matches wins over the task's own queue"`

	Queues      Queues `env:"PAIDUI_QUEUES" yaml:"queues" default:"sms:6,seckill:6,default:3,cache:2,low:1" flag:"queues,Q" in:"worker" help:"queues a worker takes from, as name:weight,...; weight 1..1000, 1 when left out"`
	Concurrency int    `env:"PAIDUI_CONCURRENCY" yaml:"concurrency" default:"64" range:"1..100000" flag:"concurrency,c" in:"worker" help:"tasks a worker runs at the same time"`
	WorkerName  string `env:"PAIDUI_WORKER_NAME" yaml:"worker_name" flag:"name,n" in:"worker" help:"the worker's name in logs and lists; host name and process id when empty"`

	LogFormat     string        `env:"PAIDUI_LOG_FORMAT" yaml:"log_format" default:"json" defaults:"paidui=text" oneof:"json|text" help:"form of the log"`
	LogLevel      string        `env:"PAIDUI_LOG_LEVEL" yaml:"log_level" default:"info" oneof:"debug|info|warn|error" flag:"log-level,l" help:"least level that is logged"`
	ShutdownDelay time.Duration `env:"PAIDUI_SHUTDOWN_DELAY" yaml:"shutdown_delay" default:"2s" range:"0s..5m" in:"api" help:"how long it serves on after SIGTERM, not ready any more, so that balancers turn away"`
	DrainTimeout  time.Duration `env:"PAIDUI_DRAIN_TIMEOUT" yaml:"drain_timeout" default:"25s" range:"0s..1h" in:"api worker scheduler" help:"how long running work may finish after SIGTERM"`
	StartupWait   time.Duration `env:"PAIDUI_STARTUP_WAIT" yaml:"startup_wait" default:"1m" range:"0s..1h" help:"how long to wait at start for Redis and the database"`

	warnings []Mistake
}

// Warnings are what Load found doubtful, in a configuration that is right otherwise.
func (c Config) Warnings() []Mistake { return c.warnings }

// Location is the time zone of Timezone. It panics on a Config that was not validated and names no time zone.
func (c Config) Location() *time.Location {
	loc, err := time.LoadLocation(c.Timezone)
	if err != nil {
		panic("config: Location on an invalid Config: " + err.Error())
	}
	return loc
}

// LogValue lists every setting under its YAML key; secrets and the passwords in URLs are masked.
func (c Config) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, s := range settings() {
		attrs = append(attrs, slog.String(s.Key, s.text(c)))
	}
	return slog.GroupValue(attrs...)
}
