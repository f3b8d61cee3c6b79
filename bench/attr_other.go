//go:build !linux

package main

import "syscall"

// childAttr has nothing to offer where /proc is missing; reading it fails later.
func childAttr() *syscall.SysProcAttr { return nil }
