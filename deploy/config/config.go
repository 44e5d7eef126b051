package config

import (
	"fmt"
	"log/slog"
	"reflect"
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
	Local     Program = "local"
	Migrate   Program = "migrate"
)

// programs are all of them.
var programs = []Program{API, Worker, Scheduler, Local, Migrate}

// Config is the framework's configuration. The one that Schema.Load returns has been validated, and prints without its
// secrets; what its application adds prints with it in the log.
type Config struct {
	HTTPAddr              string        `env:"PAIDUI_HTTP_ADDR" yaml:"http_addr" default:"127.0.0.1:8000" in:"api" help:"address of the HTTP API, host:port; an empty host means every interface"`
	TLSCertFile           string        `env:"PAIDUI_TLS_CERT_FILE" yaml:"tls_cert_file" in:"api" help:"PEM file of the certificate, with its chain, by which the HTTP API speaks TLS; read again when it changes; plain HTTP when empty"`
	TLSKeyFile            string        `env:"PAIDUI_TLS_KEY_FILE" yaml:"tls_key_file" in:"api" help:"PEM file of its key"`
	AdminAddr             string        `env:"PAIDUI_ADMIN_ADDR" yaml:"admin_addr" defaults:"api=127.0.0.1:9000 worker=127.0.0.1:9001 scheduler=127.0.0.1:9002 local=127.0.0.1:9000" in:"api worker scheduler" help:"address of /healthz, /readyz, /metrics and /debug/pprof; keep it private"`
	Pprof                 bool          `env:"PAIDUI_PPROF" yaml:"pprof" default:"false" in:"api worker scheduler" help:"serve /debug/pprof on the admin address to anybody; false asks for the operator's key"`
	Language              string        `env:"PAIDUI_LANGUAGE" yaml:"language" default:"zh" oneof:"zh|en" in:"api" help:"language of messages to clients that ask for none, or for none that there is"`
	CORSOrigins           List          `env:"PAIDUI_CORS_ORIGINS" yaml:"cors_origins" in:"api" help:"origins whose pages may call the API, as https://shop.example.com,...; * for any"`
	TrustedProxies        Networks      `env:"PAIDUI_TRUSTED_PROXIES" yaml:"trusted_proxies" in:"api" help:"proxies whose X-Forwarded-For is believed, as 10.0.0.0/8,192.168.1.7"`
	HTTPQueueWait         time.Duration `env:"PAIDUI_HTTP_QUEUE_WAIT" yaml:"http_queue_wait" default:"500ms" range:"0s..1m" in:"api" help:"how long a request waits for its turn when too many come to its route at once, before it is refused; 0s for no limit"`
	RequestsPerAddress    int           `env:"PAIDUI_REQUESTS_PER_ADDRESS" yaml:"requests_per_address" default:"200" range:"0..1000000" in:"api" help:"requests to rated routes, such as logins, of one client address, a second; ten times as many at once; 0 for no limit"`
	MaxConnections        int           `env:"PAIDUI_MAX_CONNECTIONS" yaml:"max_connections" default:"0" range:"0..10000000" in:"api" help:"connections of clients that may be open at once; 0 for what ulimit -n allows beside the stores, at most 65536"`
	MaxPerAddress         int           `env:"PAIDUI_MAX_CONNECTIONS_PER_ADDRESS" yaml:"max_connections_per_address" default:"0" range:"0..10000000" in:"api" help:"of them those of one client address, trusted_proxies aside; 0 for half"`
	OperatorKey           Secret        `env:"PAIDUI_OPERATOR_KEY" yaml:"operator_key" bytes:"16" required:"api" in:"api worker scheduler" help:"what the operator named operator sends as bearer token, at least 16 bytes; api needs it or one of the next two, others for /debug/pprof alone"`
	OperatorKeys          Secret        `env:"PAIDUI_OPERATOR_KEYS" yaml:"operator_keys" form:"operators" file:"own" in:"api worker scheduler" help:"more keys, by name and role, as alice=operator:KEY,wall=observer:KEY; a name may have several"`
	OperatorKeysFile      string        `env:"PAIDUI_OPERATOR_KEYS_FILE" yaml:"operator_keys_file" in:"api worker scheduler" help:"file of such keys, one a line; read again when it changes"`
	ObserversSeeArguments bool          `env:"PAIDUI_OBSERVERS_SEE_ARGUMENTS" yaml:"observers_see_arguments" default:"false" in:"api" help:"observers see the arguments, results and errors of tasks; false shows these to operators alone"`
	AuditEnqueues         bool          `env:"PAIDUI_AUDIT_ENQUEUES" yaml:"audit_enqueues" default:"true" in:"api" help:"the audit log has the calls that enqueue tasks, too; false leaves them to the history"`
	PayloadKeys           Secret        `env:"PAIDUI_PAYLOAD_KEYS" yaml:"payload_keys" form:"keys" in:"api worker scheduler" help:"keys of encrypted tasks, id:base64 of 32 bytes, with commas between; the first encrypts, all decrypt; none leave them in the clear"`

	BrokerURL   URL `env:"PAIDUI_BROKER_URL" yaml:"broker_url" default:"redis://127.0.0.1:6379/1" defaults:"local=" form:"redis" in:"api worker scheduler" help:"Redis of the tasks: redis:// rediss:// redis+sentinel:// redis+cluster://"`
	DatabaseURL URL `env:"PAIDUI_DATABASE_URL" yaml:"database_url" default:"mysql://root@127.0.0.1:3306/paidui" defaults:"local=sqlite://.{name}/{name}.db" form:"database" none:"true" in:"api worker scheduler migrate" help:"mysql://user:password@host:port/name or sqlite://FILE; a scheduler waits for it with durable schedules only; set to nothing, there is no database"`

	BrokerPipelining bool `env:"PAIDUI_BROKER_PIPELINING" yaml:"broker_pipelining" default:"true" in:"api worker scheduler" help:"calls of the same moment share a round trip to the broker; false sends each call alone, slower"`
	BrokerWakeUp     bool `env:"PAIDUI_BROKER_WAKE_UP" yaml:"broker_wake_up" default:"true" in:"api worker scheduler" help:"idle workers are woken for a task; false has them ask regularly"`

	History bool `env:"PAIDUI_HISTORY" yaml:"history" default:"true" in:"api worker" help:"api and workers keep a record of every task in the database, for GET /v1/tasks; false writes none"`

	Schedules string `env:"PAIDUI_SCHEDULES" yaml:"schedules" in:"scheduler" help:"file of the periodic tasks; when empty, those that the program brings"`
	Timezone  string `env:"PAIDUI_TIMEZONE" yaml:"timezone" default:"Asia/Shanghai" in:"api scheduler" help:"IANA time zone of schedules and of daily limits"`

	Routes Routes `env:"PAIDUI_ROUTES" yaml:"routes" in:"api worker scheduler" help:"queues of tasks by name, as mail.*=fast,report.*=low; the first pattern that matches wins over the task's own queue"`

	QueueMaxLength Lengths `env:"PAIDUI_QUEUE_MAX_LENGTH" yaml:"queue_max_length" in:"api worker scheduler" help:"with how many pending tasks a queue takes no more, as name:length,...; calls are then refused with 503; other queues have no bound"`

	Queues      Queues `env:"PAIDUI_QUEUES" yaml:"queues" default:"default" flag:"queues,Q" in:"worker" help:"queues a worker takes from, as name:weight,...; weight 1..1000, 1 when left out"`
	Concurrency int    `env:"PAIDUI_CONCURRENCY" yaml:"concurrency" default:"64" range:"1..100000" flag:"concurrency,c" in:"worker" help:"tasks a worker runs at the same time"`
	WorkerName  string `env:"PAIDUI_WORKER_NAME" yaml:"worker_name" flag:"name,n" in:"worker" help:"the worker's name in logs and lists; host name and process id when empty"`

	LogFormat     string        `env:"PAIDUI_LOG_FORMAT" yaml:"log_format" default:"json" defaults:"local=text" oneof:"json|text" help:"form of the log"`
	LogLevel      string        `env:"PAIDUI_LOG_LEVEL" yaml:"log_level" default:"info" oneof:"debug|info|warn|error" flag:"log-level,l" help:"least level that is logged"`
	ShutdownDelay time.Duration `env:"PAIDUI_SHUTDOWN_DELAY" yaml:"shutdown_delay" default:"2s" range:"0s..5m" in:"api" help:"how long it serves on after SIGTERM, not ready any more, so that balancers turn away"`
	DrainTimeout  time.Duration `env:"PAIDUI_DRAIN_TIMEOUT" yaml:"drain_timeout" default:"25s" range:"0s..1h" in:"api worker scheduler" help:"how long running work may finish after SIGTERM"`
	StartupWait   time.Duration `env:"PAIDUI_STARTUP_WAIT" yaml:"startup_wait" default:"1m" range:"0s..1h" help:"how long to wait at start for Redis and the database"`

	warnings []Mistake
	own      *own // the application's; nil without any
}

// own are a copy of the application's settings, behind two pointers: package fmt looks behind one, and would not ask the
// secrets, which are in a field that is not exported here, how they print.
type own struct {
	settings any // a pointer to their struct
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
	add := func(of reflect.Value) {
		list, _ := settingsOf(of.Type(), false)
		for _, s := range list {
			attrs = append(attrs, slog.String(s.Key, fmt.Sprint(of.Field(s.index).Interface())))
		}
	}
	add(reflect.ValueOf(c))
	if c.own != nil {
		add(reflect.ValueOf(c.own.settings).Elem())
	}
	return slog.GroupValue(attrs...)
}
