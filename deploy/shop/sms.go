package shop

import (
	"github.com/paidui/paidui/deploy/boot"
	"github.com/paidui/paidui/deploy/config"
	"github.com/paidui/paidui/tasks/sms"
)

// openSender makes what sends codes, or the mailbox where they stay. An API sends none.
func (p *program) openSender(h *boot.Host) (err error) {
	s := p.settings
	if s.SMSProvider == SMSOutbox {
		p.mailbox = sms.NewMailbox(h.DB)
		p.sender = p.mailbox
		return nil
	}
	if h.Program == config.API {
		return nil
	}
	p.sender, err = sms.NewTencent(sms.TencentConfig{
		SecretID:   s.TencentSecretID.Reveal(),
		SecretKey:  s.TencentSecretKey.Reveal(),
		AppID:      s.TencentAppID,
		SignName:   s.TencentSignName,
		TemplateID: s.TencentTemplateID,
		Region:     s.TencentRegion,
		Endpoint:   s.TencentEndpoint,
	})
	return err
}
