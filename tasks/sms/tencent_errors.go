package sms

import (
	"slices"
	"strings"
)

// TencentError is a refusal by Tencent Cloud, or by the way to it (code ClientError…). RequestID is "" when there was
// no answer.
type TencentError struct {
	Code      string
	Message   string
	RequestID string
}

func (e *TencentError) Error() string {
	text := "tencent: " + e.Code
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// Refusal is what the person who asked for the message is told: Tencent's own words, and nothing of a failure on the
// way to it.
func (e *TencentError) Refusal() string {
	if family, _, _ := strings.Cut(e.Code, "."); family == "ClientError" {
		return ""
	}
	return e.Error()
}

// permanent tells whether no retry within a code's five minutes can succeed. Only what is known to be permanent is;
// an unknown code is worth a retry.
//
// The codes are those of https://cloud.tencent.com/document/api/382/59177 and, for every API of Tencent Cloud,
// https://cloud.tencent.com/document/api/382/38780.
func (e *TencentError) permanent() bool {
	family, _, _ := strings.Cut(e.Code, ".")
	return slices.Contains(permanentFamilies(), family) || slices.Contains(permanentCodes(), e.Code)
}

// permanentFamilies are the codes, and all their sub-codes, that blame the request or the account. AuthFailure is among
// them although a wrong clock causes AuthFailure.SignatureExpire: a clock takes longer to mend than a code lives.
func permanentFamilies() []string {
	return []string{
		"ActionOffline", "AuthFailure", "InvalidAction", "InvalidParameter", "InvalidParameterValue", "InvalidRequest",
		"IpInBlacklist", "IpNotInWhitelist", "MissingParameter", "NoSuchProduct", "NoSuchVersion",
		"RequestSizeLimitExceeded", "ResourceNotFound", "UnauthorizedOperation", "UnknownParameter",
		"UnsupportedOperation", "UnsupportedProtocol", "UnsupportedRegion",
	}
}

// permanentCodes are the permanent ones of families that are otherwise worth a retry. Of LimitExceeded they are the
// limits that outlast a code, which DeliveryFrequencyLimit and PhoneNumberThirtySecondLimit do not.
// FailedOperation.OtherError and FailedOperation.ParametersOtherError can be anything, so they are not among them.
func permanentCodes() []string {
	return []string{
		"FailedOperation.ContainSensitiveWord",
		"FailedOperation.FailResolvePacket",
		"FailedOperation.InsufficientBalanceInSmsPackage",
		"FailedOperation.JsonParseFail",
		"FailedOperation.MarketingSendTimeConstraint",
		"FailedOperation.MissingSignature",
		"FailedOperation.MissingSignatureList",
		"FailedOperation.MissingTemplateList",
		"FailedOperation.NotEnterpriseCertification",
		"FailedOperation.PhoneNumberInBlacklist",
		"FailedOperation.PhoneNumberParseFail",
		"FailedOperation.ProhibitSubAccountUse",
		"FailedOperation.SignIdNotExist",
		"FailedOperation.SignatureIncorrectOrUnapproved",
		"FailedOperation.TemplateIdNotExist",
		"FailedOperation.TemplateIncorrectOrUnapproved",
		"FailedOperation.TemplateParamSetNotMatchApprovedTemplate",
		"FailedOperation.TemplateUnapprovedOrNotExist",
		"LimitExceeded.AppDailyLimit",
		"LimitExceeded.AppMainlandChinaDailyLimit",
		"LimitExceeded.DailyLimit",
		"LimitExceeded.PhoneNumberCountLimit",
		"LimitExceeded.PhoneNumberDailyLimit",
		"LimitExceeded.PhoneNumberOneHourLimit",
		"LimitExceeded.PhoneNumberSameContentDailyLimit",
	}
}
