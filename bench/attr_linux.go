package main

import "syscall"

// childAttr makes a child die with bench.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
