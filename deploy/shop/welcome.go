package shop

import (
	"io"
	"text/template"

	"github.com/paidui/paidui/deploy/boot"
)

// welcome shows what the shop does, as commands to try.
func (p *program) welcome(out io.Writer, w boot.Welcome) error {
	return welcome.Execute(out, struct {
		boot.Welcome
		Outbox bool // whether codes can be read
	}{w, p.settings.SMSProvider == SMSOutbox})
}

var welcome = template.Must(template.New("welcome").Parse(`
  Paidui is ready.  {{.URL}}  (the shop: log in, press Buy now 秒杀)

    API, described     {{.URL}}/docs
    health, metrics    {{.Admin}}/readyz  {{.Admin}}/metrics
    database           {{.Database}}
    operator key       {{.Key}}
{{- if .Embedded}}

  Redis is embedded: queued tasks, results and the cache are gone when this process ends. The database stays.
{{- end}}

  A task, and its result:
    curl -s -X POST {{.URL}}/v1/tasks -H 'Authorization: Bearer {{.Key}}' -H 'Content-Type: application/json' -d '{"task":"demo.add","args":{"n":10,"m":20},"id":"my-first"}'
    curl -s '{{.URL}}/v1/tasks/my-first?wait=5s' -H 'Authorization: Bearer {{.Key}}'

  One that starts in three seconds, followed until its end; and the history, a second or two late:
    curl -s -X POST {{.URL}}/v1/tasks -H 'Authorization: Bearer {{.Key}}' -H 'Content-Type: application/json' -d '{"task":"demo.add","args":{"n":1,"m":2},"id":"my-second","countdown":"3s"}'
    curl -sN {{.URL}}/v1/tasks/my-second/events -H 'Authorization: Bearer {{.Key}}'
    curl -s '{{.URL}}/v1/tasks?task=demo.add' -H 'Authorization: Bearer {{.Key}}'

  1. An SMS code:
    curl -s -X POST {{.URL}}/v1/sms -H 'Content-Type: application/json' -d '{"mobile":"13800138000"}'
{{- if .Outbox}}
    CODE=$(curl -s '{{.URL}}/v1/outbox?mobile=13800138000' | grep -o '"code":"[0-9]*"' | head -n 1 | cut -d '"' -f 4); echo $CODE
    TOKEN=$(curl -s -X POST {{.URL}}/v1/login -H 'Content-Type: application/json' -d '{"mobile":"13800138000","code":"'$CODE'"}' | grep -o '"token":"[^"]*"' | cut -d '"' -f 4); echo $TOKEN
{{- end}}

  2. A flash-sale order:
    TASK=$(curl -s -X POST {{.URL}}/v1/seckill -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{"goods_id":1}' | grep -o '"task_id":"[^"]*"' | cut -d '"' -f 4); echo $TASK
    curl -s "{{.URL}}/v1/seckill?task_id=$TASK"

  3. A cache that follows the database:
    curl -s {{.URL}}/v1/banners
    curl -s -X PUT {{.URL}}/v1/banners/1 -H 'Authorization: Bearer {{.Key}}' -H 'Content-Type: application/json' -d '{"title":"Changed"}'
    curl -s {{.URL}}/v1/banners

  4. Users, followings, counts, rankings and articles, from caches too:
    curl -s {{.URL}}/v1/users/1
    curl -s -X POST {{.URL}}/v1/followings/1 -H "Authorization: Bearer $TOKEN"
    curl -s {{.URL}}/v1/users/1/count
    curl -s '{{.URL}}/v1/rankings/articles?top=1'
    curl -s -X POST {{.URL}}/v1/articles -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{"title":"Hello","content":"from the queue"}'
    curl -s {{.URL}}/v1/articles/5

`))
