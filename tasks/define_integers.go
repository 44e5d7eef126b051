package tasks

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// plainIntegers writes those numbers of a JSON value without point and exponent that are integers, as JSON Schema counts
// them: 1.0 and 1e3 are. Go's decoders take the plain form only. It returns nil when there are none, or no JSON.
func plainIntegers(raw []byte) []byte {
	var out bytes.Buffer
	in, to := jsontext.NewDecoder(bytes.NewReader(raw)), jsontext.NewEncoder(&out)
	changed := false
	for in.PeekKind() != 0 {
		if in.PeekKind() != '0' {
			token, err := in.ReadToken()
			if err != nil || to.WriteToken(token) != nil {
				return nil
			}
			continue
		}
		number, err := in.ReadValue()
		if err != nil {
			return nil
		}
		if plain, ok := plainInteger(string(number)); ok {
			number, changed = jsontext.Value(plain), true
		}
		if to.WriteValue(number) != nil {
			return nil
		}
	}
	if !changed {
		return nil
	}
	return bytes.TrimSpace(out.Bytes())
}

// maxDigits is more than an integer of 64 bits has.
const maxDigits = 24

// plainInteger is the plain form of a number that has a point or an exponent, if it is an integer and not a huge one.
func plainInteger(number string) (plain string, ok bool) {
	mantissa, power, _ := strings.Cut(strings.ToLower(number), "e")
	exponent := 0
	if power != "" {
		var err error
		if exponent, err = strconv.Atoi(power); err != nil {
			return "", false
		}
	}
	if mantissa == number && !strings.Contains(number, ".") {
		return "", false
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	sign := ""
	if rest, negative := strings.CutPrefix(whole, "-"); negative {
		sign, whole = "-", rest
	}
	digits := strings.TrimRight(whole+fraction, "0")
	point := len(whole) + exponent
	if digits == "" {
		return "0", true
	}
	if len(digits) > point || point > maxDigits {
		return "", false
	}
	digits = strings.TrimLeft(digits+strings.Repeat("0", point-len(digits)), "0")
	return sign + digits, true
}
