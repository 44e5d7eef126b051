package server

import (
	"strconv"
	"strings"
	"time"

	"github.com/paidui/paidui/tasks"
)

// whySentence is a reason in words, and what to do about it.
type whySentence struct{ is, todo Text }

// whyText is a reason in words. It names no argument of the task.
func whyText(r tasks.WhyReason) whySentence {
	switch r.Code {
	case tasks.WhyNotDue:
		return whySentence{
			Textf("还没到执行时间：%s", "its time has not come: it is due at %s", moment(r.Until)),
			Text{"等待；要提前执行，请撤销后不带延时重新提交", "wait; to run it earlier, revoke it and enqueue it anew without a delay"},
		}
	case tasks.WhyRetryLater:
		is := Textf("已试过 %d 次，下一次执行在 %s", "it was tried %d times, and is tried again at %s", max(r.Count, 1), moment(r.Until))
		return whySentence{
			withError(is, r.Error),
			Text{"等待，或修复错误的原因；POST /v1/tasks/{id}/retry 可以立即重试", "wait, or mend what the error says; POST /v1/tasks/{id}/retry tries it again at once"},
		}
	case tasks.WhyPastExpiry:
		return whySentence{
			Textf("已于 %s 过期：worker 取到它时会直接标记为 REVOKED", "it expired at %s: it ends as REVOKED when a worker takes it", moment(r.Since)),
			Text{"需要执行的话请提交新的任务", "enqueue a new one if it is still to run"},
		}
	case tasks.WhyInOutbox:
		return whySentence{
			Textf("从 %s 起在数据库的 outbox 里，还没有送进 Redis", "it has been in the database's outbox since %s, and is not in Redis yet", moment(r.Since)),
			Text{"通常一秒内送达；否则检查 Redis 是否可用，以及是否有 api 或 worker 在线转送", "that mostly takes less than a second; otherwise see whether Redis answers, and whether an api or a worker is up to relay it"},
		}
	case tasks.WhyQueueFull:
		return whySentence{
			Textf("队列 %s 已满（上限 %d 个任务）：它在 outbox 里等空位", "queue %s is full (%d tasks): it waits in the outbox for room", r.Subject, r.Count),
			Text{"增加 worker，或提高 PAIDUI_QUEUE_MAX_LENGTH", "add workers, or raise PAIDUI_QUEUE_MAX_LENGTH"},
		}
	case tasks.WhyTasksBefore, tasks.WhyNext:
		return whyInQueue(r)
	case tasks.WhyQueuePaused:
		return whyPaused(r)
	case tasks.WhyNoWorker, tasks.WhyUnknownTask, tasks.WhyWorkersPaused, tasks.WhySlotsFull:
		return whyOfWorkers(r)
	case tasks.WhyRunning, tasks.WhyTerminating, tasks.WhyWorkerGone:
		return whyAtWorker(r)
	}
	return whyEnded(r)
}

func whyPaused(r tasks.WhyReason) whySentence {
	is := Textf("队列 %s 已暂停", "queue %s is paused", r.Subject)
	if r.Since != nil {
		is = Text{is.ZH + "，从 " + moment(r.Since) + " 起", is.EN + " since " + moment(r.Since)}
	}
	if r.By != "" {
		is = Text{is.ZH + "，由 " + r.By + " 暂停", is.EN + ", by " + r.By}
	}
	return whySentence{is, Textf("恢复：POST /v1/queues/%[1]s/resume", "resume it: POST /v1/queues/%[1]s/resume", r.Subject)}
}

func whyInQueue(r tasks.WhyReason) whySentence {
	if r.Code == tasks.WhyNext {
		return whySentence{
			Text{"没有阻碍：下一个空闲的 worker 会取它", "nothing is in its way: the next free worker takes it"},
			Text{"如果几秒后还是这样，请看 worker 的日志", "if it stays so for seconds, look at the workers' logs"},
		}
	}
	more := Text{}
	if r.AtLeast {
		more = Text{"至少", "at least "}
	}
	is := Textf("队列 %[1]s 里%[3]s有 %[2]d 个任务排在前面", "%[4]s%[2]d tasks of queue %[1]s come before it", r.Subject, r.Count, more.ZH, more.EN)
	if r.Until != nil {
		is = Text{is.ZH + "；按现在的速度大约到 " + moment(r.Until), is.EN + "; at the present rate until about " + moment(r.Until)}
	}
	return whySentence{is, Text{
		"等待，或增加 worker；急的任务可以用 priority: high",
		"wait, or add workers; what is urgent can be enqueued with priority high",
	}}
}

func whyOfWorkers(r tasks.WhyReason) whySentence {
	switch r.Code {
	case tasks.WhyNoWorker:
		return whySentence{
			Textf("没有在线的 worker 处理队列 %s", "no worker that is up takes from queue %s", r.Subject),
			Textf("启动一个：bin/worker -Q %[1]s，或 POST /v1/workers/{name}/queues 让现有的 worker 处理它",
				"start one: bin/worker -Q %[1]s, or have one that is up take from it: POST /v1/workers/{name}/queues", r.Subject),
		}
	case tasks.WhyUnknownTask:
		return whySentence{
			Textf("处理这个队列的 worker 都没有任务 %s 的处理函数", "no worker that takes from its queue has a handler for task %s", r.Subject),
			Text{"部署有这个处理函数的 worker，或检查任务名和队列", "deploy a worker that has, or see whether the task's name and queue are right"},
		}
	case tasks.WhyWorkersPaused:
		return whySentence{
			Textf("能处理它的 worker 都已暂停或正在退出：%s", "the workers that could take it are paused or drain: %s", few(r.Workers, r.Count)),
			Text{"恢复：POST /v1/workers/{name}/resume；正在退出的请启动新的", "resume them: POST /v1/workers/{name}/resume; in place of those that drain start new ones"},
		}
	}
	return whySentence{
		Textf("能处理它的 worker 的 %d 个槽位都在用", "all %d slots of the workers that could take it are in use", r.Count),
		Text{
			"等待，增加 worker，或 POST /v1/workers/{name}/resize 增加槽位；tasks 里是运行最久的任务",
			"wait, add workers, or give them more slots: POST /v1/workers/{name}/resize; tasks has those that have run longest",
		},
	}
}

func whyAtWorker(r tasks.WhyReason) whySentence {
	who := Textf("worker %s", "worker %s", r.Subject)
	if r.Subject == "" {
		who = Text{"一个 worker", "a worker"}
	}
	switch r.Code {
	case tasks.WhyTerminating:
		return whySentence{
			withError(Text{"已要求 " + who.ZH + " 终止它", who.EN + " is told to end it"}, r.Error),
			Text{"处理函数要在 context 结束后返回；否则看 TimeLimit", "its handler is to return when its context ends; see its time limit if it does not"},
		}
	case tasks.WhyWorkerGone:
		return whySentence{
			Text{who.ZH + " 没有声息：其他 worker 会在 10 秒内接手", who.EN + " is silent: another one takes the task over within 10 s"},
			Text{"如果没有其他 worker 处理这个队列，请启动一个", "start another worker if none takes from that queue"},
		}
	}
	is := Text{who.ZH + " 正在执行它，从 " + moment(r.Since) + " 起", who.EN + " has run it since " + moment(r.Since)}
	if r.Until != nil {
		is = Text{is.ZH + "，最晚到 " + moment(r.Until), is.EN + ", until " + moment(r.Until) + " at the latest"}
	}
	return whySentence{is, Text{"等待；要停下它：DELETE /v1/tasks/{id}?terminate=true", "wait; to end it: DELETE /v1/tasks/{id}?terminate=true"}}
}

// whyEnded is of a task that has ended.
func whyEnded(r tasks.WhyReason) whySentence {
	again := Text{"修复原因后重新执行：POST /v1/tasks/{id}/retry", "when the cause is mended, run it again: POST /v1/tasks/{id}/retry"}
	switch r.Code {
	case tasks.WhySucceeded:
		return whySentence{is: Textf("已于 %s 成功", "it succeeded at %s", moment(r.Since))}
	case tasks.WhyRetriesUsedUp:
		return whySentence{withError(Textf("重试用尽：执行了 %d 次都失败", "its retries are used up: %d attempts failed", r.Count), r.Error), again}
	case tasks.WhyNotRetried:
		return whySentence{withError(Text{"失败，并且这个错误不会重试", "it failed with an error that is not retried"}, r.Error), again}
	case tasks.WhyWorkersDied:
		return whySentence{
			Textf("执行它的 worker 死了 %d 次，因此不再执行", "its worker died %d times while running it, so it is not run any more", r.Count),
			Text{"查明 worker 为什么死（内存？panic？），然后 POST /v1/tasks/{id}/retry", "find out what kills the workers, such as memory; then POST /v1/tasks/{id}/retry"},
		}
	case tasks.WhyExpired:
		return whySentence{withError(Text{"到期时还没有开始执行", "it had not begun when it expired"}, r.Error), Text{"需要执行的话请提交新的任务", "enqueue a new one if it is still to run"}}
	case tasks.WhyRevoked:
		return whySentence{withError(Textf("已于 %s 撤销", "it was revoked at %s", moment(r.Since)), r.Error), Text{"需要执行的话请提交新的任务", "enqueue a new one if it is still to run"}}
	}
	return whySentence{
		Text{"Redis 丢失了它，没人知道它是否执行完", "Redis has lost it, and nobody knows whether it ran to its end"},
		Text{"需要的话重新提交；durable 的任务不会这样丢失", "enqueue it anew if that is safe; durable tasks are not lost so"},
	}
}

func withError(t Text, text string) Text {
	if text == "" {
		return t
	}
	return Text{t.ZH + "：" + text, t.EN + ": " + text}
}

// moment is a time for a sentence.
func moment(t *time.Time) string {
	if t == nil {
		return "?"
	}
	return t.UTC().Format(time.RFC3339)
}

// few lists names, and how many more there are.
func few(names []string, n int) string {
	text := strings.Join(names, ", ")
	if n > len(names) {
		text += " … +" + strconv.Itoa(n-len(names))
	}
	return text
}
