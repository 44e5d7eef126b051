package models_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models"
)

// TestCheckURL holds the check to what Open itself makes of a URL.
func TestCheckURL(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "check.db")
	for url, want := range map[string]string{
		"":                                      "must begin with",
		"postgres://root:hunter2@h/db":          "must begin with",
		"root:hunter2@tcp(h)/db":                "must begin with",
		"mysql://root:hunter2@/db":              "the form",
		"mysql://root:hunter2@h":                "the form",
		"mysql://root:hun/ter2@h/db":            "the form",
		"mysql://:hunter2@h/db":                 "names no user",
		"mysql://root:hunter2@h/db?timeout=1s":  "only options",
		"mysql://root:hunter2@h/db?tls=hunter2": "tls must be",
		"sqlite://":                             "want sqlite://FILE",
		"sqlite://" + file + "?mode=ro":         "want sqlite://FILE",
		"sqlite://" + file:                      "",
		"sqlite://:memory:":                     "",
		"mysql://root:p%40ss@127.0.0.1:1/db":    "",
		"mysql://root@/db?socket=/nowhere.sock": "",
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			db, opening := models.Open(t.Context(), url, models.Options{})
			if opening == nil {
				require.NoError(t, models.Close(db))
			}
			err := models.CheckURL(url)
			if want == "" {
				require.NoError(t, err)
				require.NotErrorIs(t, opening, models.ErrConfig)
				return
			}
			require.ErrorIs(t, opening, models.ErrConfig)
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}
