//go:build go1.22

package main

const packageClosureName = "main.init.func1("
