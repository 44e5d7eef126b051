package sms

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
)

func badMobiles() []string {
	return []string{
		"", "1", "1381234567", "138123456789", "12812345678", "23812345678", "1381234567a", "a3812345678",
		"+8613812345678", "8613812345678", "008613812345678", "138 1234 5678", " 13812345678", "13812345678 ",
		"13812345678\n", "13812345678\x00", "１３８１２３４５６７８", "1381234５6", "138-1234-567", "10812345678", "00000000000",
	}
}

func TestValidMobile(t *testing.T) {
	for _, mobile := range []string{"13000000000", "13812345678", "14900000000", "15999999999", "18612345678", "19912345678"} {
		require.True(t, ValidMobile(mobile), mobile)
		require.NoError(t, SendArgs{Mobile: mobile}.Validate())
	}
	for _, mobile := range badMobiles() {
		require.False(t, ValidMobile(mobile), "%q", mobile)
		var bad *tasks.ArgsError
		require.ErrorAs(t, SendArgs{Mobile: mobile}.Validate(), &bad)
		require.Equal(t, "mobile", bad.Field)
		if mobile != "" && mobile != "1" {
			require.NotContains(t, bad.Error(), mobile)
		}
	}
}

func FuzzValidMobile(f *testing.F) {
	f.Add("13812345678")
	for _, mobile := range badMobiles() {
		f.Add(mobile)
	}
	rule := regexp.MustCompile(`\A1[3-9][0-9]{9}\z`)
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := ValidMobile(s), rule.MatchString(s); got != want {
			t.Fatalf("ValidMobile(%q) = %v, the rule says %v", s, got, want)
		}
		if masked := MaskMobile(s); ValidMobile(s) && masked != s[:3]+"****"+s[7:] || !ValidMobile(s) && masked != "****" {
			t.Fatalf("MaskMobile(%q) = %q", s, masked)
		}
	})
}

func TestSendIsDefinedAsItIsDocumented(t *testing.T) {
	require.Equal(t, "sms.send", Send.Name())
	require.Equal(t, "sms", Send.Queue())
	require.JSONEq(t, `{"type":"object","required":["mobile"],"additionalProperties":false,"properties":{"mobile":{"type":"string","description":"a mobile number of mainland China, 11 digits"}}}`, string(Send.Schema()))
	require.NoError(t, Send.CheckArgs([]byte(`{"mobile":"13812345678"}`)))
	require.Error(t, Send.CheckArgs([]byte(`{"mobile":"1381234567"}`)))
}
