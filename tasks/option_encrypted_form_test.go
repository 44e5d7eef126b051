package tasks

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/keyring"
)

func ring(t testing.TB, ids ...string) *keyring.Ring {
	t.Helper()
	var entries []string
	for i, id := range ids {
		raw := make([]byte, keyring.KeySize)
		for j := range raw {
			raw[j] = byte(31*i + 7*j)
		}
		entries = append(entries, id+":"+base64.StdEncoding.EncodeToString(raw))
	}
	r, err := keyring.Parse(strings.Join(entries, ","))
	require.NoError(t, err)
	return r
}

func TestAnEncryptedValueIsBoundToItsPlace(t *testing.T) {
	t.Parallel()
	keys := ring(t, "k1")
	stored := seal(keys, resultField, "sms.send", "a", []byte(`{"n":1}`))
	require.True(t, isSealed(stored))
	require.True(t, json.Valid(stored))
	var form map[string]string
	require.NoError(t, json.Unmarshal(stored, &form))
	require.Equal(t, "k1", form["paidui_encrypted"])
	require.Len(t, form, 2)
	again, err := json.Marshal(json.RawMessage(stored))
	require.NoError(t, err)
	require.Equal(t, string(stored), string(again), "as a part of other JSON it stays as it is")

	for _, place := range []struct {
		field    field
		task, id string
		fits     bool
	}{
		{resultField, "sms.send", "a", true},
		{argsField, "sms.send", "a", false},
		{resultField, "sms.sent", "a", false},
		{resultField, "sms.send", "b", false},
		{resultField, "sms.send", "", false},
	} {
		plain, err := unseal(keys, place.field, place.task, place.id, stored)
		if place.fits {
			require.NoError(t, err)
			require.Equal(t, `{"n":1}`, string(plain))
		} else {
			require.ErrorIs(t, err, keyring.ErrForged, "%+v", place)
		}
	}
	_, err = unseal(keys, argsField, "t", "a", seal(keys, argsField, "t", "b", nil))
	require.ErrorIs(t, err, keyring.ErrForged)
	_, err = unseal(keys, argsField, "t", "a", seal(keys, argsField, "t", "", nil))
	require.NoError(t, err, "those of a debounced task")

	var lacks *KeyError
	_, err = unseal(ring(t, "k2"), resultField, "sms.send", "a", stored)
	require.ErrorAs(t, err, &lacks)
	require.ErrorContains(t, err, `"k1"`)
	require.ErrorContains(t, err, "PAIDUI_PAYLOAD_KEYS")
	_, err = unseal(nil, resultField, "sms.send", "a", stored)
	require.ErrorAs(t, err, &lacks)
	_, err = unseal(ring(t, "k0", "k1"), resultField, "sms.send", "a", stored)
	require.ErrorAs(t, err, &lacks, "another key of the same id")
	require.True(t, lacks.Other)
}

func TestWhatOnlyLooksEncryptedIsTold(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"paidui_encrypted":"k1","data":""}`, `{"paidui_encrypted":"`, `{"paidui_encrypted":"k1"} is no error of ours`, "plain", "", " plain"} {
		kept := escaped(text)
		require.False(t, isSealed(kept), text)
		require.Equal(t, text, unescaped(kept))
		require.Equal(t, []byte(text), unescaped([]byte(kept)))
	}
	require.Equal(t, "plain", escaped("plain"))
}

// FuzzUnseal: whatever stands in Redis or the database is read without a panic, and nothing is believed that was not
// encrypted here.
func FuzzUnseal(f *testing.F) {
	keys := ring(f, "k1", "k2")
	good := seal(keys, argsField, "sms.send", "a", []byte(`{"mobile":"13800138000"}`))
	f.Add(good)
	for _, seed := range []string{
		"", "{}", sealedHead, sealedHead + "k1" + sealedBody + sealedTail, sealedHead + "k1" + sealedBody + "AAAA" + sealedTail,
		string(good[:len(good)-3]) + `="}`, " " + string(good), sealedHead + "k1\n" + sealedBody + "AA==" + sealedTail, `{"paidui_encrypted":"k1","data":"A\n=="}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		if id, data, err := parseSealed(stored); err == nil {
			require.Equal(t, string(stored), string(formatSealed(id, data)), "there is one way to write it")
			require.True(t, json.Valid(stored))
		}
		plain, err := unseal(keys, argsField, "sms.send", "a", stored)
		if string(stored) == string(good) {
			require.NoError(t, err)
			require.Equal(t, `{"mobile":"13800138000"}`, string(plain))
			return
		}
		require.Error(t, err)
		o := decrypter{keys: keys, task: "sms.send", id: "a"}
		kept := escaped(stored)
		require.Equal(t, string(stored), string(o.open(argsField, kept)))
		require.NoError(t, o.failure)
	})
}
