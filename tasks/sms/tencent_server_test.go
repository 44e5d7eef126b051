package sms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// tencentServer stands in for sms.tencentcloudapi.com: it refuses what Tencent would refuse of signature, headers and
// form, as Tencent does, and otherwise answers as it is told.
type tencentServer struct {
	*httptest.Server
	secretID, secretKey string
	answer              http.HandlerFunc // of requests that are in order; accepts them when nil

	mu     sync.Mutex
	bodies []map[string]any // of the requests that were in order
	hits   int
}

func newTencentServer(t *testing.T, answer http.HandlerFunc) *tencentServer {
	t.Helper()
	s := &tencentServer{secretID: "AKIDtest", secretKey: "key-of-the-test", answer: answer}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *tencentServer) config() TencentConfig {
	return TencentConfig{
		SecretID: s.secretID, SecretKey: s.secretKey, AppID: "1400006666", SignName: "排队", TemplateID: "1110",
		Region: "ap-beijing", Endpoint: s.URL,
	}
}

func (s *tencentServer) requests() (hits int, bodies []map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hits, slices.Clone(s.bodies)
}

func (s *tencentServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.hits++
	s.mu.Unlock()
	body, code, err := s.check(r, raw)
	if err != nil {
		answerError(code, err.Error())(w, r)
		return
	}
	s.mu.Lock()
	s.bodies = append(s.bodies, body)
	n := len(s.bodies)
	s.mu.Unlock()
	if s.answer != nil {
		s.answer(w, r)
		return
	}
	answerStatus("Ok", "send success", fmt.Sprintf("5000:%d", n), 1)(w, r)
}

// check returns Tencent's error code beside the error.
func (s *tencentServer) check(r *http.Request, raw []byte) (body map[string]any, code string, err error) {
	if r.Method != http.MethodPost || r.URL.Path != "/" || r.URL.RawQuery != "" {
		return nil, "InvalidRequest", fmt.Errorf("%s %s", r.Method, r.URL)
	}
	if err := s.checkSignature(r, raw); err != nil {
		return nil, "AuthFailure.SignatureFailure", err
	}
	for header, want := range map[string]string{
		"X-TC-Action": "SendSms", "X-TC-Version": "2021-01-11", "X-TC-Region": "ap-beijing", "Content-Type": "application/json",
	} {
		if got := r.Header.Get(header); got != want {
			return nil, "InvalidParameter", fmt.Errorf("%s is %q", header, got)
		}
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, "FailedOperation.JsonParseFail", err
	}
	return body, "", nil
}

// checkSignature follows https://cloud.tencent.com/document/api/382/52072 (signature method v3), step by step.
func (s *tencentServer) checkSignature(r *http.Request, body []byte) error {
	timestamp := r.Header.Get("X-TC-Timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return fmt.Errorf("X-TC-Timestamp %q", timestamp)
	}
	if skew := time.Since(time.Unix(seconds, 0)).Abs(); skew > 5*time.Minute {
		return fmt.Errorf("X-TC-Timestamp is %v off", skew)
	}
	date := time.Unix(seconds, 0).UTC().Format("2006-01-02")

	form := regexp.MustCompile(`^TC3-HMAC-SHA256 Credential=([^/]+)/([^/]+)/([^/]+)/tc3_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$`)
	auth := form.FindStringSubmatch(r.Header.Get("Authorization"))
	if auth == nil {
		return fmt.Errorf("the form of Authorization: %q", r.Header.Get("Authorization"))
	}
	if auth[1] != s.secretID || auth[2] != date || auth[3] != "sms" {
		return fmt.Errorf("credential %v", auth[1:4])
	}
	signed := strings.Split(auth[4], ";")
	if !slices.IsSorted(signed) || !slices.Contains(signed, "content-type") || !slices.Contains(signed, "host") {
		return fmt.Errorf("signed headers %v", signed)
	}

	canonical := "POST\n/\n\n"
	for _, name := range signed {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		canonical += name + ":" + strings.ToLower(strings.TrimSpace(value)) + "\n"
	}
	canonical += "\n" + auth[4] + "\n" + sha256Hex(body)

	toSign := "TC3-HMAC-SHA256\n" + timestamp + "\n" + date + "/sms/tc3_request\n" + sha256Hex([]byte(canonical))
	key := []byte("TC3" + s.secretKey)
	for _, part := range []string{date, "sms", "tc3_request"} {
		key = hmacSHA256(key, part)
	}
	if want := hex.EncodeToString(hmacSHA256(key, toSign)); want != auth[5] {
		return fmt.Errorf("signature %s, want %s", auth[5], want)
	}
	return nil
}

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func hmacSHA256(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}

const tencentRequestID = "ed93f3cb-f35e-473f-b9f3-0d451b8b79c6"

func answerJSON(status int, value any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]any{"Response": value})
	}
}

// answerError is how Tencent refuses a whole request: with HTTP status 200.
func answerError(code, message string) http.HandlerFunc {
	return answerJSON(http.StatusOK, map[string]any{
		"Error":     map[string]any{"Code": code, "Message": message},
		"RequestId": tencentRequestID,
	})
}

// answerStatus is how Tencent answers for one number.
func answerStatus(code, message, serial string, fee int) http.HandlerFunc {
	return answerJSON(http.StatusOK, map[string]any{
		"SendStatusSet": []map[string]any{{
			"SerialNo": serial, "PhoneNumber": "+8613812345678", "Fee": fee, "SessionContext": "", "Code": code,
			"Message": message, "IsoCode": "CN",
		}},
		"RequestId": tencentRequestID,
	})
}

func answerText(status int, contentType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, text)
	}
}
