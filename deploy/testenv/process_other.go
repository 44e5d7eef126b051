//go:build !linux

package testenv

import "syscall"

// dieWithParent: only Linux can bind a child's life to its parent's; elsewhere Main stops the servers.
func dieWithParent() *syscall.SysProcAttr { return nil }
