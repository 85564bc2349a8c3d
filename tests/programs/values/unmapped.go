package main

import (
	"syscall"
	"unsafe"
)

func init() {
	families = append(families, startUnmapped)
}

// Memory that is not there: pointers to it are not followed anywhere, and what
// lies half in it is not half a value.
func startUnmapped() {
	page := syscall.Getpagesize()
	pages, err := syscall.Mmap(-1, 0, 2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	for i := range pages {
		pages[i] = 'm'
	}
	gone, border := unsafe.Pointer(&pages[page]), &pages[page-10]
	if _, _, e := syscall.Syscall(syscall.SYS_MUNMAP, uintptr(gone), uintptr(page), 0); e != 0 {
		panic(e)
	}
	start(func() {
		holdUnmapped((*item)(gone), unsafe.String((*byte)(gone), 100), unsafe.Slice((*int)(gone), 3), unsafe.String(border, 20),
			unsafe.String(border, 10))
	})
}

//go:noinline
func holdUnmapped(p *item, text string, list []int, crossing, whole string) {
	tell(fails("p", "not readable"), fails("p.Number", "not readable"), fails("text", "not readable"), is("len(text)", len(text)),
		fails("list[1]", "not readable"), is("len(list)", len(list)), fails("crossing", "not readable"), is("whole", whole))
	park()
	keep(&p, &text, &list, &crossing)
	use(whole)
}
