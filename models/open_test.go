package models_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
)

func TestOpenRefusesURLsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	for name, databaseURL := range map[string]string{
		"empty":                          "",
		"no scheme":                      "127.0.0.1:3306/paidui",
		"driver's form":                  "root:" + secret + "@tcp(127.0.0.1:3306)/paidui",
		"other scheme":                   "postgres://root:" + secret + "@127.0.0.1/paidui",
		"no database":                    "mysql://root:" + secret + "@127.0.0.1:3306",
		"no host":                        "mysql://root:" + secret + "@/paidui",
		"no user":                        "mysql://127.0.0.1:3306/paidui",
		"port too large":                 "mysql://root:" + secret + "@127.0.0.1:99999/paidui",
		"port is a word":                 "mysql://root:" + secret + "@127.0.0.1:mysql/paidui",
		"nested database":                "mysql://root:" + secret + "@127.0.0.1:3306/paidui/x",
		"backquote in database":          "mysql://root:" + secret + "@127.0.0.1:3306/pai`dui",
		"unknown option":                 "mysql://root:" + secret + "@127.0.0.1:3306/paidui?charset=utf8",
		"unknown tls mode":               "mysql://root:" + secret + "@127.0.0.1:3306/paidui?tls=maybe",
		"option twice":                   "mysql://root:" + secret + "@127.0.0.1:3306/paidui?tls=true&tls=false",
		"unescaped percent in password":  "mysql://root:%zz" + secret + "@127.0.0.1:3306/paidui",
		"unescaped slash in password":    "mysql://root:" + secret + "/x@127.0.0.1:3306/paidui",
		"unescaped slash after digits":   "mysql://root:12/" + secret + "@127.0.0.1:3306/paidui",
		"unescaped hash in password":     "mysql://root:" + secret + "#x@127.0.0.1:3306/paidui",
		"unescaped hash after digits":    "mysql://root:12#" + secret + "@127.0.0.1:3306/paidui",
		"unescaped question in password": "mysql://root:12?" + secret + "@127.0.0.1:3306/paidui",
		"sqlite without a file":          "sqlite://",
		"sqlite with options":            "sqlite://file.db?mode=ro",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := models.Open(t.Context(), databaseURL, models.Options{})
			require.ErrorIs(t, err, models.ErrConfig)
			require.ErrorContains(t, err, models.Setting)
			require.NotContains(t, err.Error(), secret)
			require.NotContains(t, err.Error(), "12")
		})
	}
}

func TestOpenSaysThatMySQLIsUnreachable(t *testing.T) {
	t.Parallel()
	server := fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t))
	_, err := models.Open(t.Context(), "mysql://root:s3cr3t@"+server+"/paidui", models.Options{})
	require.ErrorContains(t, err, "PAIDUI_DATABASE_URL: cannot connect to MySQL at "+server)
	require.ErrorContains(t, err, "connection refused")
	require.NotErrorIs(t, err, models.ErrConfig, "waiting may help")
	require.NotContains(t, err.Error(), "s3cr3t")
}

func TestOpenWithAPasswordFullOfSpecialCharacters(t *testing.T) {
	t.Parallel()
	const password = `p@ss:/?#%&+ "'密码`
	databaseURL := testenv.MySQL(t)
	admin(t, databaseURL, "CREATE USER special@'127.0.0.1' IDENTIFIED BY '"+strings.ReplaceAll(password, "'", "''")+"'")
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)

	admin(t, databaseURL, "GRANT ALL ON `"+strings.TrimPrefix(u.Path, "/")+"`.* TO special@'127.0.0.1'")
	u.User = url.UserPassword("special", password)
	db := open(t, u.String(), models.Options{})
	require.NoError(t, models.Ping(t.Context(), db))

	wrong := *u
	wrong.User = url.UserPassword("special", "s3cr3t")
	_, err = models.Open(t.Context(), wrong.String(), models.Options{})
	require.ErrorIs(t, err, models.ErrConfig)
	require.ErrorContains(t, err, `PAIDUI_DATABASE_URL: MySQL at `+u.Host+` refuses user "special"`)
	require.NotContains(t, err.Error(), "s3cr3t")

	_, err = models.Open(t.Context(), withDatabase(u.String(), "another"), models.Options{CreateDatabase: true})
	require.ErrorIs(t, err, models.ErrConfig)
	require.ErrorContains(t, err, "run: CREATE DATABASE IF NOT EXISTS `another`")
}

func TestOpenThroughASocket(t *testing.T) {
	t.Parallel()
	databaseURL := testenv.MySQL(t)
	db := open(t, databaseURL, models.Options{})
	var dir, socket string
	require.NoError(t, db.Raw("SELECT @@datadir, @@socket").Row().Scan(&dir, &socket))
	if !filepath.IsAbs(socket) {
		socket = filepath.Join(dir, socket)
	}
	local := strings.Replace(databaseURL, "127.0.0.1", "localhost", 1) + "?socket=" + url.QueryEscape(socket)
	var host string
	require.NoError(t, open(t, local, models.Options{}).Raw("SELECT CURRENT_USER()").Scan(&host).Error)
	require.Equal(t, "root@localhost", host)
}

func TestOpenMakesTheDatabaseOnRequest(t *testing.T) {
	t.Parallel()
	databaseURL := withDatabase(testenv.MySQL(t), "not-there")
	_, err := models.Open(t.Context(), databaseURL, models.Options{})
	require.NotErrorIs(t, err, models.ErrConfig, "waiting may help: api makes it")
	require.ErrorContains(t, err, "CREATE DATABASE IF NOT EXISTS `not-there` CHARACTER SET utf8mb4")

	logger, logged := logTo()
	for range 2 {
		db := open(t, databaseURL, models.Options{CreateDatabase: true, Logger: logger})
		require.NoError(t, shop.Migrate(t.Context(), db))
	}
	require.Equal(t, 1, strings.Count(logged(), "database created"))
}

func TestSQLiteMakesTheFolderOfItsFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "new", "the data.db")
	db := open(t, "sqlite://"+file, models.Options{})
	require.NoError(t, shop.Migrate(t.Context(), db))
	files, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, files, 3, "with the log and its index")
	for _, f := range files {
		info, err := f.Info()
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, "%s is for its owner alone", f.Name())
	}

	var mode string
	require.NoError(t, db.Raw("PRAGMA journal_mode").Scan(&mode).Error)
	require.Equal(t, "wal", mode)
	var keys int
	require.NoError(t, db.Raw("PRAGMA foreign_keys").Scan(&keys).Error)
	require.Equal(t, 1, keys)

	blocker := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(blocker, nil, 0o600))
	_, err = models.Open(t.Context(), "sqlite://"+blocker+"/paidui.db", models.Options{})
	require.ErrorContains(t, err, models.Setting)
}

func TestMemoryDatabasesAreSeparate(t *testing.T) {
	t.Parallel()
	one := open(t, "sqlite://:memory:", models.Options{})
	two := open(t, "sqlite://:memory:", models.Options{})
	require.NoError(t, shop.Migrate(t.Context(), one))
	require.True(t, one.Migrator().HasTable(&shop.Goods{}))
	require.False(t, two.Migrator().HasTable(&shop.Goods{}))
}

// TestAMemoryDatabaseOutlivesWhatIsCancelled ends transactions by their context, which must not end the database.
func TestAMemoryDatabaseOutlivesWhatIsCancelled(t *testing.T) {
	t.Parallel()
	db := open(t, "sqlite://:memory:", models.Options{})
	require.NoError(t, shop.Migrate(t.Context(), db))
	for range 20 { // more than there are connections
		ctx, cancel := context.WithCancel(t.Context())
		err := db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			require.NoError(t, tx.Create(&shop.Goods{Name: "茶"}).Error)
			cancel()
			require.Eventually(t, func() bool {
				return errors.Is(tx.WithContext(t.Context()).Exec("SELECT 1").Error, sql.ErrTxDone)
			}, 20*time.Second, time.Millisecond)
			return ctx.Err()
		})
		require.ErrorIs(t, err, context.Canceled)
	}
	var n int64
	require.NoError(t, db.Model(&shop.Goods{}).Count(&n).Error)
	require.Zero(t, n)
	require.NoError(t, db.Create(&shop.Goods{Name: "茶"}).Error, "no lock is left")
}

func TestTimesAreUTCMicrosecondsAndCompare(t *testing.T) {
	t.Parallel()
	eachMigrated(t, func(t *testing.T, db *gorm.DB) {
		shanghai := time.FixedZone("CST", 8*3600)
		at := time.Date(2026, 3, 1, 7, 30, 0, 123456789, shanghai)
		goods := shop.Goods{Name: "茶", Price: 1, Stock: 1, StartsAt: at, EndsAt: at.Add(time.Hour)}
		require.NoError(t, db.Create(&goods).Error)

		var got shop.Goods
		require.NoError(t, db.First(&got, goods.ID).Error)
		require.Equal(t, time.Date(2026, 2, 28, 23, 30, 0, 123456000, time.UTC), got.StartsAt)
		require.Equal(t, goods.CreatedAt, got.CreatedAt, "what was stored is what GORM filled in")

		// The instants compare, whatever zone the caller's clock is in.
		newYork := time.FixedZone("EST", -5*3600)
		for moment, open := range map[time.Duration]int64{-time.Millisecond: 0, 0: 1, 59 * time.Minute: 1, time.Hour: 0} {
			for _, zone := range []*time.Location{shanghai, newYork, time.UTC} {
				now := at.Add(moment).In(zone)
				var count int64
				require.NoError(t, db.Model(&shop.Goods{}).Where("starts_at <= ? AND ? < ends_at", now, now).Count(&count).Error)
				require.Equal(t, open, count, "%s in %s", moment, zone)
			}
		}
	})
}

func TestIsDuplicate(t *testing.T) {
	t.Parallel()
	eachMigrated(t, func(t *testing.T, db *gorm.DB) {
		user := func() *shop.User { return &shop.User{Mobile: "13800138000"} }
		require.NoError(t, db.Create(user()).Error)
		err := db.Create(user()).Error
		require.True(t, models.IsDuplicate(err), "%v", err)
		require.True(t, models.IsDuplicate(fmt.Errorf("creating the user: %w", err)))

		pool, err := db.DB()
		require.NoError(t, err)
		_, err = pool.ExecContext(t.Context(), "INSERT INTO users SELECT * FROM users")
		require.True(t, models.IsDuplicate(err), "primary key, past GORM: %v", err)
		require.NotContains(t, db.Create(user()).Error.Error(), "13800138000")

		negative := shop.Goods{Name: "杯", Stock: -1, StartsAt: opening, EndsAt: opening}
		err = db.Create(&negative).Error
		require.Error(t, err, "stock is never negative")
		require.False(t, models.IsDuplicate(err))
	})
	require.False(t, models.IsDuplicate(nil))
	require.False(t, models.IsDuplicate(errors.New("Duplicate entry")))
	require.True(t, models.IsDuplicate(gorm.ErrDuplicatedKey))
}

func TestTextComparesByteForByte(t *testing.T) {
	t.Parallel()
	eachMigrated(t, func(t *testing.T, db *gorm.DB) {
		for _, id := range []string{"Task", "task", "tásk", "ｔask"} {
			require.NoError(t, db.Create(&models.OutboxRow{TaskID: id, Task: "demo.add"}).Error)
		}
		var count int64
		require.NoError(t, db.Model(&models.OutboxRow{}).Where("task_id = ?", "TASK").Count(&count).Error)
		require.Zero(t, count)
	})
}

func TestWritersQueueUp(t *testing.T) {
	t.Parallel()
	eachMigrated(t, func(t *testing.T, db *gorm.DB) {
		const writers = 40
		goods := shop.Goods{Name: "杯", Stock: writers, StartsAt: opening, EndsAt: opening}
		require.NoError(t, db.Create(&goods).Error)
		// Each reads first and writes then, which deadlocks where a read does not lock.
		errs := together(writers, func(int) error {
			return db.WithContext(t.Context()).Transaction(func(tx *gorm.DB) error {
				var seen int64
				if err := tx.Model(&shop.Order{}).Count(&seen).Error; err != nil {
					return err
				}
				return tx.Model(&shop.Goods{ID: goods.ID}).Where("stock > 0").Update("stock", gorm.Expr("stock - 1")).Error
			})
		})
		require.NoError(t, errors.Join(errs...))
		require.NoError(t, db.First(&goods, goods.ID).Error)
		require.Zero(t, goods.Stock)
	})
}

func TestQueryLogHasNoParameters(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, databaseURL string) {
		logger, logged := logTo()
		db := open(t, databaseURL, models.Options{Logger: logger})
		require.NoError(t, shop.Migrate(t.Context(), db))
		require.NoError(t, db.Create(&shop.User{Mobile: "13800138000"}).Error)
		require.Error(t, db.Create(&shop.User{Mobile: "13800138000"}).Error)
		require.ErrorIs(t, db.Where("mobile = ?", "13900139000").First(&shop.User{}).Error, gorm.ErrRecordNotFound)
		require.NotContains(t, logged(), "WARN")
		require.Contains(t, logged(), "INSERT INTO")

		require.Error(t, db.Exec("UPDATE nothing SET a = ?", "13700137000").Error)
		require.Contains(t, logged(), "level=WARN msg=\"query failed\" sql=\"UPDATE nothing SET a = ?\"")
		for _, mobile := range []string{"13800138000", "13900139000", "13700137000"} {
			require.NotContains(t, logged(), mobile)
		}
	})
}
