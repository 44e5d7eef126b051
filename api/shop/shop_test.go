package shop_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/api/shop"
)

// TestNewNamesWhatIsMissing: a shop that is put together wrongly does not start.
func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := shop.New(shop.Options{})
	for _, name := range []string{
		"Codes", "Sales", "Banners", "Profiles", "Articles", "Counters", "Followings", "JWTSecret",
	} {
		require.ErrorContains(t, err, name+" is missing")
	}
}
