//go:build go1.24

package main

const waitForGroupState = "sync.WaitGroup.Wait"
