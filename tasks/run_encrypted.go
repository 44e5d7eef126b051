package tasks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/paidui/paidui/models/keyring"
	"github.com/paidui/paidui/tasks/broker"
)

// maxEncryptedError bounds the error of an encrypted task, in bytes, so that the history has room for it.
const maxEncryptedError = 5 << 10

// attemptEncryption is what an attempt has in addition when its task is encrypted, or when its parent can't be decrypted.
type attemptEncryption struct {
	encryptsResult bool   // result, error and progress are stored encrypted
	storedArgs     []byte // the arguments as they are stored; nil when that is in the clear
	decryptError   error  // why they, or the parent's values, can't be read
}

// encrypted reports whether result, error and progress of the attempt are stored encrypted.
func (a *attempt) encrypted() bool { return a.encryption != nil && a.encryption.encryptsResult }

// decryptError is why the task's values can't be decrypted; nil when they can.
func (a *attempt) decryptError() error {
	if a.encryption == nil {
		return nil
	}
	return a.encryption.decryptError
}

// decrypt reads the arguments and the parent's values, and decides whether the attempt's result is encrypted.
func (a *attempt) decrypt() {
	keys := a.mux.keys
	var s attemptEncryption
	s.encryptsResult = keys != nil && (a.headers.encrypted || a.binding != nil && a.binding.encrypted)
	if a.headers.encrypted {
		s.storedArgs = a.args
		if a.args, s.decryptError = unseal(keys, argsField, a.Name, a.ID, s.storedArgs); s.decryptError == nil {
			a.mux.missingKeys.outage.over(time.Now())
		}
	}
	if s.decryptError == nil && a.headers.parent != "" {
		a.Parent, s.decryptError = parseParent(keys, a.headers.parent)
	}
	if s.decryptError != nil {
		s.encryptsResult = false // what the handler does not see is in no error
	}
	if s.encryptsResult || s.storedArgs != nil || s.decryptError != nil {
		kept := s
		a.encryption = &kept
	}
}

// missingKeys notes that tasks wait because this process lacks their keys.
type missingKeys struct {
	outage outage
	warned atomic.Int64 // Unix ns
}

const missingKeysPause = 30 * time.Second // between two warnings

// refuseUnreadable puts the task off until a worker has its key, at no cost; one that was tampered with fails.
func (a *attempt) refuseUnreadable(ctx context.Context) verdict {
	var lacks *KeyError
	if !errors.As(a.decryptError(), &lacks) {
		v := a.judge(ctx, nil, Permanent(fmt.Errorf("it can't be decrypted: %w", a.decryptError())))
		v.refusal = refusedForged
		return v
	}
	now := time.Now()
	if last := a.mux.missingKeys.warned.Load(); now.UnixNano()-last >= int64(missingKeysPause) && a.mux.missingKeys.warned.CompareAndSwap(last, now.UnixNano()) {
		a.mux.logger.WarnContext(ctx, "tasks are put off that this worker can't decrypt", "setting", "PAIDUI_PAYLOAD_KEYS",
			"key", lacks.ID, "keys", a.mux.keys.IDs(), "task", a.Name, "task_id", a.ID, "error", lacks)
	}
	return verdict{outcome: snoozed, err: lacks, delay: a.mux.missingKeys.outage.pause(now), refusal: refusedKey}
}

// encryptedVerdict is what is stored of an attempt in place of its result and its error.
type encryptedVerdict struct {
	result      []byte
	text, brief string
}

func (a *attempt) seal(f field, plain []byte) []byte {
	return seal(a.mux.keys, f, a.Name, a.ID, plain)
}

func (a *attempt) sealError(text string, limit int) string {
	if text == "" {
		return ""
	}
	return string(a.seal(errorField, []byte(shorten(text, limit))))
}

// encrypt prepares what is stored of an encrypted task's attempt. Why a task was revoked is no secret.
func (a *attempt) encrypt(v *verdict) {
	if !a.encrypted() || v.outcome == revoked {
		return
	}
	text := v.plainText()
	v.encrypted = &encryptedVerdict{text: a.sealError(text, maxEncryptedError), brief: a.sealError(text, maxErrorText)}
	if len(v.result) > 0 {
		v.encrypted.result = a.seal(resultField, v.result)
	}
}

// storedResult is the result as it is stored.
func (v *verdict) storedResult() []byte {
	if v.encrypted != nil {
		return v.encrypted.result
	}
	return escaped(v.result)
}

// storedText is the error as it is stored.
func (v *verdict) storedText() string {
	if v.encrypted != nil {
		return v.encrypted.text
	}
	return v.plainText()
}

// briefText is the error as it stands in the list of attempts.
func (v *verdict) briefText() string {
	if v.encrypted != nil {
		return v.encrypted.brief
	}
	return shorten(v.plainText(), maxErrorText)
}

// encryptedText is "" for a task in the clear.
func (v *verdict) encryptedText() string {
	if v.encrypted == nil {
		return ""
	}
	return v.encrypted.text
}

// redacted is the error for a history that is not to have the arguments.
func (a *attempt) redacted(v verdict) string {
	text := Redact(v.plainText(), a.args)
	if v.encrypted == nil {
		return text
	}
	return a.sealError(text, maxEncryptedError)
}

// storedArgs are the arguments for the history.
func (a *attempt) storedArgs() []byte {
	switch {
	case a.headers.encrypted:
		return asJSON(a.encryption.storedArgs)
	case a.encrypted():
		return a.seal(argsField, asJSON(a.args))
	}
	return escaped(asJSON(a.args))
}

// withheld is what the log has of an error that may tell of encrypted values: the types that it is made of.
func withheld(err error) string {
	types := errorTypes(err, nil)
	return "withheld, as the task is encrypted: " + strings.Join(types, ", ")
}

// errorTypes adds the types in an error's chain that say something.
func errorTypes(err error, types []string) []string {
	const most = 8
	if err == nil || len(types) == most {
		return types
	}
	name := fmt.Sprintf("%T", err)
	dull := slices.Contains([]string{"*fmt.wrapError", "*fmt.wrapErrors", "*errors.joinError", "*tasks.permanentError", "*tasks.delayError"}, name)
	if !dull && !slices.Contains(types, name) {
		types = append(types, name)
	}
	switch wrapping := err.(type) {
	case interface{ Unwrap() error }:
		return errorTypes(wrapping.Unwrap(), types)
	case interface{ Unwrap() []error }:
		for _, cause := range wrapping.Unwrap() {
			types = errorTypes(cause, types)
		}
	}
	return types
}

// decrypter decrypts the values of one task, and keeps the first failure.
type decrypter struct {
	keys     *keyring.Ring
	task, id string
	failure  error
}

// open is the plain text of a stored value; nil when it can't be decrypted.
func (o *decrypter) open(f field, stored []byte) []byte {
	if !isSealed(stored) {
		return unescaped(stored)
	}
	plain, err := unseal(o.keys, f, o.task, o.id, stored)
	if err != nil && o.failure == nil {
		o.failure = err
	}
	return plain
}

// text is open for an error. When it can't be decrypted, the text says why.
func (o *decrypter) text(stored string) string {
	if !isSealed(stored) {
		return unescaped(stored)
	}
	if plain := o.open(errorField, []byte(stored)); plain != nil {
		return string(plain)
	}
	return "withheld: " + o.failure.Error()
}

// Decrypt replaces what of info is encrypted. What can't be decrypted is left out, and Withheld says why.
func (c *Client) Decrypt(info *Info) {
	o := decrypter{keys: c.keys, task: info.Task, id: info.ID}
	info.Args, info.Result = o.open(argsField, info.Args), o.open(resultField, info.Result)
	if info.State != StateRevoked { // then it is a reason
		info.Error = o.text(info.Error)
	}
	for i := range info.Attempts {
		info.Attempts[i].Error = o.text(info.Attempts[i].Error)
	}
	if len(info.progress) > 0 {
		info.Progress, info.progress = reported(o.open(progressField, info.progress)), nil
	}
	if o.failure != nil {
		info.Withheld = o.failure.Error()
	}
}

// info is what a record tells, in the clear.
func (c *Client) info(r *broker.StoredTask) *Info {
	info := newInfo(r)
	c.Decrypt(info)
	return info
}

// Redacted is the error of info, which is as stored, with the arguments hidden in it: see Redact. It stays encrypted.
func (c *Client) Redacted(info *Info) string {
	o := decrypter{keys: c.keys, task: info.Task, id: info.ID}
	args := o.open(argsField, info.Args)
	if !isSealed(info.Error) {
		return Redact(info.Error, args)
	}
	text, err := unseal(c.keys, errorField, info.Task, info.ID, []byte(info.Error))
	if err != nil {
		return info.Error
	}
	hidden := Redact(string(text), args)
	return string(seal(c.keys, errorField, info.Task, info.ID, []byte(shorten(hidden, maxEncryptedError))))
}
