package config

import (
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// sample are the settings of an application, of every kind.
type sample struct {
	JWTSecret      Secret        `env:"PAIDUI_JWT_SECRET" bytes:"32" required:"api" in:"api" help:"signs the users' tokens"`
	JWTLifetime    time.Duration `env:"PAIDUI_JWT_LIFETIME" default:"168h" range:"1m..8760h" in:"api" help:"how long a user stays logged in"`
	CacheURL       URL           `env:"PAIDUI_CACHE_URL" default:"redis://127.0.0.1:6379/2" defaults:"local=" form:"redis" in:"api worker" help:"Redis of the cache"`
	BackendURL     string        `env:"PAIDUI_BACKEND_URL" default:"http://127.0.0.1:8000" form:"web" in:"api worker" help:"what a browser reaches the API at"`
	SMSPerDay      int           `env:"PAIDUI_SMS_PER_DAY" default:"10" range:"1..1000" in:"api" help:"codes in a day"`
	TencentAppID   string        `env:"PAIDUI_TENCENT_APP_ID" in:"worker" help:"id of the application"`
	BannerCount    int           `env:"PAIDUI_BANNER_COUNT" yaml:"banner_count" default:"3" range:"1..100" in:"api worker" help:"banners shown at most"`
	BannerStrategy string        `env:"PAIDUI_BANNER_STRATEGY" default:"delete" someof:"delete|update|periodic" in:"api worker" help:"what a write does"`

	Loaded time.Time // what has no tag is no setting
}

// Check implements Checker.
func (s *sample) Check(_ Program, c Config) []Mistake {
	if c.OperatorKey != "" && c.OperatorKey == s.JWTSecret {
		return []Mistake{{Variable: "PAIDUI_OPERATOR_KEY", Reason: "is the same as a JWT secret"}}
	}
	return nil
}

// appOf are the application's settings that were loaded with c.
func appOf(c Config) *sample { return c.own.settings.(*sample) }

// schemaWith is that of an application with sample, which nothing else fills.
func schemaWith(checks Checks) *Schema {
	return must(NewSchema(Options{Settings: &sample{}, Checks: checks}))
}

func settings() []setting { return schemaWith(nil).settings }

// Load loads the configuration of a program with sample.
func Load(p Program, flags *pflag.FlagSet, environ []string, checks Checks) (Config, error) {
	return schemaWith(checks).Load(p, flags, environ)
}

// Parse is Load with the text of a file.
func Parse(p Program, file string, text []byte, environ []string, flags *pflag.FlagSet, checks Checks) (Config, error) {
	return schemaWith(checks).Parse(p, file, text, environ, flags)
}

func TestAnApplicationsSettingsAreFilled(t *testing.T) {
	t.Parallel()
	own := &sample{BannerCount: 99, TencentAppID: "left over"}
	schema, err := NewSchema(Options{Settings: own})
	require.NoError(t, err)
	_, err = schema.Load(Worker, nil, []string{"PAIDUI_BANNER_COUNT=0"})
	require.Error(t, err)
	require.Equal(t, 99, own.BannerCount, "an error changes nothing")
	cfg, err := schema.Load(Worker, nil, []string{"PAIDUI_BANNER_COUNT=7", "PAIDUI_CACHE_URL=redis://:hunter2@h/2"})
	require.NoError(t, err)
	require.Equal(t, 7, own.BannerCount)
	require.Empty(t, own.TencentAppID)
	require.Equal(t, URL("redis://:hunter2@h/2"), own.CacheURL)
	require.Equal(t, own, appOf(cfg))

	plain, err := NewSchema(Options{})
	require.NoError(t, err)
	_, err = plain.Load(Worker, nil, []string{"PAIDUI_BANNER_COUNT=7"})
	require.ErrorContains(t, err, "PAIDUI_BANNER_COUNT (environment): there is no such setting")
	cfg, err = plain.Load(Worker, nil, nil)
	require.NoError(t, err)
	require.Nil(t, cfg.own)
}

// TestWhatIsWrongWithAnApplicationsSettings: it is told when the program starts, not when somebody sets them.
func TestWhatIsWrongWithAnApplicationsSettings(t *testing.T) {
	t.Parallel()
	for want, settings := range map[string]any{
		"two settings have the variable PAIDUI_LOG_LEVEL": &struct {
			Level string `env:"PAIDUI_LOG_LEVEL" yaml:"level"`
		}{},
		"two settings have the key log_level": &struct {
			Level string `env:"REPORTS_LEVEL" yaml:"log_level"`
		}{},
		"two settings have the variable REPORTS_KEY_FILE": &struct {
			Key  Secret `env:"REPORTS_KEY"`
			File string `env:"REPORTS_KEY_FILE" yaml:"file"`
		}{},
		"two settings have the flag n": &struct {
			Number int `env:"REPORTS_NUMBER" flag:"number,n"`
		}{},
		"two settings have the flag config": &struct {
			Number int `env:"REPORTS_NUMBER" flag:"config"`
		}{},
		`Rate: a float64 cannot be read from a text`: &struct {
			Rate float64 `env:"REPORTS_RATE"`
		}{},
		`"reports" is no name of a variable`: &struct {
			Dir string `env:"reports"`
		}{},
		`"apis" is none of the programs`: &struct {
			Dir string `env:"REPORTS_DIR" in:"apis"`
		}{},
		`the range "1..many"`: &struct {
			Number int `env:"REPORTS_NUMBER" range:"1..many"`
		}{},
		`the range "1..2": only an int or a time.Duration has one`: &struct {
			Dir string `env:"REPORTS_DIR" range:"1..2"`
		}{},
		`the form "email" is none of database, redis, web`: &struct {
			To string `env:"REPORTS_TO" form:"email"`
		}{},
		"only a text has a form, or bytes": &struct {
			To int `env:"REPORTS_TO" bytes:"16"`
		}{},
		"dir: is not exported": &struct {
			dir string `env:"REPORTS_DIR"`
		}{},
		"they are to be a pointer to a struct": sample{},
	} {
		_, err := NewSchema(Options{Settings: settings})
		require.ErrorContains(t, err, want)
	}
	_, err := NewSchema(Options{Defaults: map[string]string{"PAIDUI_QUEUE": "a"}})
	require.ErrorContains(t, err, "a default for PAIDUI_QUEUE: there is no such setting")
}

// TestNamesAreTheProgramsOwn: of another program with settings and defaults of its own.
func TestNamesAreTheProgramsOwn(t *testing.T) {
	t.Parallel()
	var own struct {
		Dir string `env:"REPORTS_DIR" default:"/var/{name}" in:"worker" help:"where reports are written"`
		To  List   `env:"REPORTS_TO" yaml:"reports_recipients" help:"who gets them"`
		Max int    `env:"REPORTS_MAX" default:"3" flag:"max,m" in:"worker" help:"reports at once"`
	}
	schema, err := NewSchema(Options{Name: "reports", Settings: &own, Defaults: map[string]string{"PAIDUI_QUEUES": "mail:2", "PAIDUI_DATABASE_URL": ""}})
	require.NoError(t, err)
	cfg, err := schema.Parse(Local, "f.yaml", []byte("reports_recipients: [a, b]\n"), nil, nil)
	require.NoError(t, err)
	require.Equal(t, Queues{"mail": 2}, cfg.Queues)
	require.Empty(t, cfg.DatabaseURL)
	require.Equal(t, "/var/reports", own.Dir)
	require.Equal(t, List{"a", "b"}, own.To)
	flags := pflag.NewFlagSet("reports", pflag.ContinueOnError)
	schema.AddFlags(Worker, flags)
	require.NoError(t, flags.Parse([]string{"-m", "5"}))
	_, err = schema.Load(Worker, flags, []string{"REPORTS_MAX=4"})
	require.NoError(t, err)
	require.Equal(t, 5, own.Max)
	_, err = schema.Load(Worker, nil, []string{"REPORTS_DIRECTORY=x", "PAIDUI_LOG_LEVL=x"})
	require.Equal(t, []string{"PAIDUI_LOG_LEVL (environment): there is no such setting; did you mean PAIDUI_LOG_LEVEL?"}, reasons(t, err))
	help := schema.Help(Worker)
	require.Contains(t, help, "REPORTS_DIR ")
	require.Contains(t, help, "[/var/reports]")
	require.Contains(t, help, "who gets them; its key is reports_recipients")
	require.NotContains(t, schema.Help(API), "REPORTS_DIR ")

	standard, err := NewSchema(Options{Name: "reports"})
	require.NoError(t, err)
	cfg, err = standard.Load(Local, nil, nil)
	require.NoError(t, err)
	require.Equal(t, "sqlite://.reports/reports.db", cfg.DatabaseURL.Reveal())
}

// TestADatabaseSetToNothing: of other settings an empty value means the default.
func TestADatabaseSetToNothing(t *testing.T) {
	t.Parallel()
	file := secretFile(t, "sqlite://a.db")
	for _, c := range []struct {
		yaml    string
		environ []string
		want    string
	}{
		{"", nil, "mysql://root@127.0.0.1:3306/paidui"},
		{"", []string{"PAIDUI_DATABASE_URL="}, ""},
		{"database_url: \"\"", nil, ""},
		{"database_url:", nil, ""},
		{"database_url: sqlite://b.db", []string{"PAIDUI_DATABASE_URL="}, ""},
		{"database_url: \"\"", []string{"PAIDUI_DATABASE_URL=sqlite://b.db"}, "sqlite://b.db"},
		{"database_url_file: " + file, []string{"PAIDUI_DATABASE_URL="}, ""},
		{"", []string{"PAIDUI_DATABASE_URL=", "PAIDUI_DATABASE_URL_FILE=" + file}, "sqlite://a.db"},
	} {
		cfg, err := Parse(Worker, "f.yaml", []byte(c.yaml), c.environ, nil, nil)
		require.NoError(t, err)
		require.Equal(t, c.want, cfg.DatabaseURL.Reveal(), "%q %q", c.yaml, c.environ)
	}
}
