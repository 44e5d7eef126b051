package sms

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxAnswer bounds what is read of an answer, in bytes; SendSms answers with less than a thousand for one number.
const maxAnswer = 64 << 10

// transport makes the SDK's way over HTTP bounded and private. Every answer is read whole, up to maxAnswer, and its
// connection released, which the SDK leaves undone on errors. What is no JSON object is an error: the SDK panics on
// null and quotes pages in its errors. And no redirect is followed, as it would carry the code to whichever host it
// names.
type transport struct{ next *http.Transport }

func newTransport() *transport {
	return &transport{next: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       30 * time.Second,
		TLSHandshakeTimeout:   tencentTimeout,
		ResponseHeaderTimeout: tencentTimeout,
	}}
}

func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 && response.StatusCode < 400 {
		return nil, fmt.Errorf("the answer is a redirect (%s)", response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		return nil, fmt.Errorf("the answer is no JSON object (%s)", response.Status)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}
