package shop_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnotherSitesPageSendsNoCode(t *testing.T) {
	t.Parallel()
	const browser = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
	s := start(t, func(o *options) { o.CORSOrigins = []string{"https://shop.example"} })
	number := 13800000000
	for name, test := range map[string]struct {
		headers map[string]string
		sent    bool
	}{
		"a program":                        {nil, true},
		"a program with a name":            {map[string]string{"User-Agent": "okhttp/4.12"}, true},
		"the page's script":                {map[string]string{"User-Agent": browser, "Sec-Fetch-Site": "same-origin"}, true},
		"a page of the same site":          {map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "https://m.shop.test"}, true},
		"typed":                            {map[string]string{"User-Agent": browser, "Sec-Fetch-Site": "none"}, true},
		"an image elsewhere":               {map[string]string{"User-Agent": browser, "Sec-Fetch-Site": "cross-site", "Referer": "https://evil.example/"}, false},
		"an image that hides its page":     {map[string]string{"User-Agent": browser, "Sec-Fetch-Site": "cross-site"}, false},
		"a site that is not known":         {map[string]string{"Sec-Fetch-Site": "neighbour"}, false},
		"a listed page's script":           {map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://shop.example"}, true},
		"a listed page's link":             {map[string]string{"Sec-Fetch-Site": "cross-site", "Referer": "https://shop.example/a"}, true},
		"a page that is called like it":    {map[string]string{"Sec-Fetch-Site": "cross-site", "Referer": "https://shop.example.evil/"}, false},
		"without TLS, the own page":        {map[string]string{"User-Agent": browser, "Referer": "http://127.0.0.1/login"}, true},
		"without TLS, an image elsewhere":  {map[string]string{"User-Agent": browser, "Referer": "http://evil.example/127.0.0.1"}, false},
		"without TLS, a page that hides":   {map[string]string{"User-Agent": browser}, false},
		"without TLS, a sandboxed frame":   {map[string]string{"User-Agent": browser, "Origin": "null"}, false},
		"without TLS, a script elsewhere":  {map[string]string{"Origin": "http://evil.example", "Referer": "http://127.0.0.1/"}, false},
		"without TLS, a listed page":       {map[string]string{"User-Agent": browser, "Origin": "https://shop.example"}, true},
		"a referer that is no address":     {map[string]string{"User-Agent": browser, "Referer": "::"}, false},
		"a program that names another one": {map[string]string{"User-Agent": "curl/8", "Referer": "https://evil.example/"}, false},
	} {
		number++
		a := s.Get(fmt.Sprintf("/user/send_sms?mobile=%d", number), inEnglish, func(r *http.Request) {
			for header, value := range test.headers {
				r.Header.Set(header, value)
			}
		})
		code := fmt.Sprintf("send_sms_code_%d", number)
		if test.sent {
			require.Equal(t, 100, a.Code, "%s: %s", name, a.Raw)
			continue
		}
		require.Equal(t, http.StatusForbidden, a.Status, name)
		require.Equal(t, "pages of other sites may not send codes by GET: use POST /v1/sms", a.Msg)
		require.Zero(t, s.cache.Exists(t.Context(), code).Val(), name)
	}
	require.Equal(t, 415, s.Post("/v1/sms", map[string]string{"mobile": mobile}, header("Content-Type", "text/plain")).Status,
		"nor can a form post what the other route takes")
}
