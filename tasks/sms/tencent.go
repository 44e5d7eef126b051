package sms

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common"
	tcerrors "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/errors"
	tchttp "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/http"
	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/profile"

	"github.com/paidui/paidui/tasks"
)

const (
	tencentProvider = "tencent"
	tencentRegion   = "ap-guangzhou"
	tencentEndpoint = "https://sms.tencentcloudapi.com"
	tencentTimeout  = 10 * time.Second // for one request, from dialling to the last byte of the answer
)

// TencentConfig is an account of Tencent Cloud SMS and what is approved in it. Everything but Region and Endpoint is
// required. The template has two parameters: the code, and the minutes for which it is good.
type TencentConfig struct {
	SecretID   string
	SecretKey  string
	AppID      string // SmsSdkAppId
	SignName   string
	TemplateID string
	Region     string // ap-guangzhou when ""
	Endpoint   string // http(s)://host[:port] or a host; https://sms.tencentcloudapi.com when ""
}

func (c TencentConfig) validate() error {
	var missing []string
	for _, field := range []struct{ name, value string }{
		{"secret id", c.SecretID}, {"secret key", c.SecretKey}, {"app id", c.AppID},
		{"sign name", c.SignName}, {"template id", c.TemplateID},
	} {
		if field.value == "" {
			missing = append(missing, field.name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("sms: tencent needs its %s", strings.Join(missing, ", "))
	}
	return nil
}

type tencent struct {
	config TencentConfig
	client *common.Client
}

// NewTencent returns the provider that sends by Tencent Cloud's API SendSms, version 2021-01-11, signed with
// TC3-HMAC-SHA256. It makes no request; an error says what is wrong with the configuration.
func NewTencent(config TencentConfig) (Sender, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	if config.Region == "" {
		config.Region = tencentRegion
	}
	scheme, host, err := parseEndpoint(config.Endpoint)
	if err != nil {
		return nil, err
	}
	p := profile.NewClientProfile()
	p.DisableRegionBreaker = true // a retry of ours must not go to another endpoint behind our back
	p.Debug = false               // the SDK's debug log shows whole requests, and with them the code
	p.HttpProfile.Scheme = scheme
	p.HttpProfile.Endpoint = host
	p.HttpProfile.ReqTimeout = int(tencentTimeout / time.Second)
	client := common.NewCommonClient(common.NewCredential(config.SecretID, config.SecretKey), config.Region, p)
	client.WithHttpTransport(newTransport())
	return &tencent{config: config, client: client}, nil
}

func parseEndpoint(endpoint string) (scheme, host string, err error) {
	if endpoint == "" {
		endpoint = tencentEndpoint
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return "", "", errors.New("sms: tencent endpoint: want https://host, without user, path or query")
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return "", "", fmt.Errorf("sms: tencent endpoint: scheme %q is neither https nor http", u.Scheme)
	}
	return u.Scheme, u.Host, nil
}

func (t *tencent) Provider() string { return tencentProvider }

// sendSmsResponse is the answer of SendSms when it is no error.
type sendSmsResponse struct {
	*tchttp.BaseResponse
	Response struct {
		SendStatusSet []struct {
			SerialNo string
			Fee      int64
			Code     string
			Message  string
		}
		RequestId string
	}
}

func (t *tencent) Send(ctx context.Context, m Message) (Receipt, error) {
	request := tchttp.NewCommonRequest("sms", "2021-01-11", "SendSms")
	request.SetContext(ctx)
	err := request.SetActionParameters(map[string]any{
		"PhoneNumberSet":   []string{"+86" + m.Mobile},
		"SmsSdkAppId":      t.config.AppID,
		"SignName":         t.config.SignName,
		"TemplateId":       t.config.TemplateID,
		"TemplateParamSet": []string{m.Code, strconv.Itoa(m.minutes())},
		"SessionContext":   m.TaskID, // comes back in Tencent's delivery reports
	})
	if err != nil {
		return Receipt{}, fmt.Errorf("sms: building the request to tencent: %w", err)
	}
	response := &sendSmsResponse{BaseResponse: &tchttp.BaseResponse{}}
	if err := t.client.Send(request, response); err != nil {
		if cause := ctx.Err(); cause != nil {
			return Receipt{}, fmt.Errorf("sms: waiting for tencent: %w", cause)
		}
		return Receipt{}, m.classify(sdkFailure(err))
	}
	if n := len(response.Response.SendStatusSet); n != 1 {
		return Receipt{}, fmt.Errorf("sms: tencent answered %d statuses for one number", n)
	}
	status := response.Response.SendStatusSet[0]
	if !strings.EqualFold(status.Code, "Ok") {
		return Receipt{}, m.classify(&TencentError{
			Code: status.Code, Message: status.Message, RequestID: response.Response.RequestId,
		})
	}
	serial := status.SerialNo
	if serial == "" { // Tencent's rule is that there is one; without it, the request's id serves to ask after the message
		serial = response.Response.RequestId
	}
	return Receipt{SerialNo: serial, Fee: status.Fee}, nil
}

// sdkFailure turns an error of the SDK into ours, without the answer's body that some of them quote.
func sdkFailure(err error) *TencentError {
	var e *tcerrors.TencentCloudSDKError
	if !errors.As(err, &e) {
		return &TencentError{Code: "ClientError", Message: err.Error()}
	}
	message := e.Message
	switch e.Code {
	case "ClientError.ParseJsonError", "ClientError.HttpStatusCodeError":
		message = "the answer is not that of the API"
	}
	return &TencentError{Code: e.Code, Message: message, RequestID: e.RequestId}
}

// classify takes the code out of the message, in case Tencent quotes it, and marks what no retry can mend.
func (m Message) classify(e *TencentError) error {
	e.Message = strings.ReplaceAll(e.Message, m.Code, "******")
	if e.permanent() {
		return tasks.Permanent(e)
	}
	return e
}
