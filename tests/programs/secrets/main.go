// Secrets holds what must not leave its host: in fields, in maps, behind
// interfaces, in types of their own.
//
//	secrets FILE
//
// reads a secret from each line of the file, prints "ready <pid>" and holds
// still. Nothing of them is in the executable, in the arguments or in the
// environment.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// Password is secret wherever it is met.
type Password string

type Account struct {
	User     string
	Password string
	Token    []byte
	Key      Password
	Inner    *Session
	Headers  map[string][]string
	Any      any
	List     []Session
	Public   string
}

type Session struct {
	ID        int
	Token     string
	SecretKey [16]byte
}

// Vault holds what hold takes as arguments, too.
type Vault struct {
	Key      Password
	Tokens   map[string]string
	Anything []any
}

// vault is there at any place, wherever the compiler keeps the arguments.
var vault Vault

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "secrets:", err)
		os.Exit(1)
	}
	s := strings.Fields(string(text))
	a := &Account{
		User:     "ann",
		Password: s[0],
		Token:    []byte(s[1]),
		Key:      Password(s[2]),
		Inner:    &Session{ID: 1, Token: s[3]},
		Headers:  map[string][]string{"Authorization": {"Bearer " + s[4]}, "Accept": {"public-header"}},
		Any:      Session{ID: 2, Token: s[5]},
		List:     []Session{{ID: 3, Token: s[6]}},
		Public:   "public-text",
	}
	copy(a.Inner.SecretKey[:], s[7])
	vault = Vault{Password(s[8]), map[string]string{"Token": s[9]}, []any{Password(s[10])}}
	go hold(a, vault.Key, vault.Tokens, vault.Anything)
	go holdMethod(a)
	time.Sleep(100 * time.Millisecond)
	fmt.Printf("ready %d\n", os.Getpid())
	select {}
}

//go:noinline
func hold(a *Account, p Password, tokens map[string]string, anything []any) {
	time.Sleep(1000 * time.Hour)
	fmt.Println(a, p, tokens, anything, vault)
}

func holdMethod(a *Account) { a.wait(a.Inner) }

//go:noinline
func (a *Account) wait(s *Session) {
	time.Sleep(1000 * time.Hour)
	fmt.Println(a, s)
}
