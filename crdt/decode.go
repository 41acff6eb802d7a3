package crdt

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
)

// Decode stores what view shows in the Go variable that into points to, as Value.Decode does.
func Decode(view interface{ Value() Value }, into any) error { return view.Value().Decode(into) }

// Decode stores v in the Go variable that into points to: objects in structs and maps with string keys, lists in
// slices and arrays, ints and floats in any numeric type they fit, strings also in types that implement
// encoding.TextUnmarshaler. A struct field is found by its tag `atoll:"key"`, else `json:"key"`, else by its name,
// as is or ignoring case; "-" leaves it out. Keys without a field are passed over, fields without a key
// stay as they are, nil makes a variable zero. Errors wrap ErrValue and say where; into may
// then hold part of v.
func (v Value) Decode(into any) error {
	p := reflect.ValueOf(into)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("%w: decode needs a pointer, not %T", ErrValue, into)
	}
	return decodeValue(v, p.Elem(), nil)
}

var (
	valueType = reflect.TypeFor[Value]()
	bytesType = reflect.TypeFor[[]byte]()
)

func decodeValue(v Value, to reflect.Value, path []string) error {
	mismatch := func(why string) error {
		return fmt.Errorf("%w: decode %q: a %s into a Go %s%s", ErrValue, FormatPointer(path), v.Type(), to.Type(), why)
	}
	if to.Type() == valueType {
		to.Set(reflect.ValueOf(v))
		return nil
	}
	if v.IsNil() {
		to.SetZero()
		return nil
	}
	if to.Kind() == reflect.Pointer {
		if to.IsNil() {
			to.Set(reflect.New(to.Type().Elem()))
		}
		return decodeValue(v, to.Elem(), path)
	}
	if s, ok := v.Str(); ok && to.CanAddr() {
		if u, ok := to.Addr().Interface().(encoding.TextUnmarshaler); ok {
			if err := u.UnmarshalText([]byte(s)); err != nil {
				return mismatch(": " + err.Error())
			}
			return nil
		}
	}
	if to.Kind() == reflect.Interface && to.NumMethod() == 0 {
		to.Set(reflect.ValueOf(v.Any()))
		return nil
	}
	switch v.Type() {
	case BoolType:
		if to.Kind() == reflect.Bool {
			b, _ := v.Bool()
			to.SetBool(b)
			return nil
		}
	case IntType:
		n, _ := v.Int()
		switch {
		case to.CanInt():
			if to.OverflowInt(n) {
				return mismatch(", which it does not fit")
			}
			to.SetInt(n)
			return nil
		case to.CanUint():
			if n < 0 || to.OverflowUint(uint64(n)) {
				return mismatch(", which it does not fit")
			}
			to.SetUint(uint64(n))
			return nil
		case to.CanFloat():
			to.SetFloat(float64(n))
			return nil
		}
	case FloatType:
		if to.CanFloat() {
			f, _ := v.Float()
			to.SetFloat(f)
			return nil
		}
	case StringType:
		if to.Kind() == reflect.String {
			s, _ := v.Str()
			to.SetString(s)
			return nil
		}
	case BytesType:
		if to.Kind() == reflect.Slice && to.Type().ConvertibleTo(bytesType) {
			b, _ := v.Bytes()
			to.SetBytes(b)
			return nil
		}
	case ListType:
		return decodeList(v.parts(), to, path, mismatch)
	case ObjectType:
		switch to.Kind() {
		case reflect.Map:
			return decodeMap(v, to, path, mismatch)
		case reflect.Struct:
			return decodeStruct(v, to, path)
		}
	}
	return mismatch("")
}

func decodeList(items []Value, to reflect.Value, path []string, mismatch func(string) error) error {
	switch to.Kind() {
	case reflect.Slice:
		to.Set(reflect.MakeSlice(to.Type(), len(items), len(items)))
	case reflect.Array:
		if len(items) > to.Len() {
			return mismatch(", which has too few elements")
		}
		to.SetZero()
	default:
		return mismatch("")
	}
	for i, item := range items {
		if err := decodeValue(item, to.Index(i), append(path, fmt.Sprint(i))); err != nil {
			return err
		}
	}
	return nil
}

func decodeMap(v Value, to reflect.Value, path []string, mismatch func(string) error) (err error) {
	t := to.Type()
	if t.Key().Kind() != reflect.String {
		return mismatch(", which does not have string keys")
	}
	out := reflect.MakeMap(t)
	v.eachField(func(key string, field Value) {
		if err == nil {
			elem := reflect.New(t.Elem()).Elem()
			err = decodeValue(field, elem, append(path, key))
			out.SetMapIndex(reflect.ValueOf(key).Convert(t.Key()), elem)
		}
	})
	to.Set(out)
	return err
}

func decodeStruct(v Value, to reflect.Value, path []string) (err error) {
	fields := structFields(to)
	v.eachField(func(key string, field Value) {
		f, ok := fields[key]
		if !ok {
			f, ok = fields[strings.ToLower(key)+"\x00"]
		}
		if ok && err == nil {
			err = decodeValue(field, f, append(path, key))
		}
	})
	return err
}

// structFields returns the fields of a struct by key, and again by lower-case key and a zero byte. Those of
// embedded structs count as its own unless it has one of that key itself.
func structFields(v reflect.Value) map[string]reflect.Value {
	out := make(map[string]reflect.Value)
	add := func(key string, f reflect.Value) {
		folded := strings.ToLower(key) + "\x00"
		out[key] = f
		if _, ok := out[folded]; !ok {
			out[folded] = f
		}
	}
	var embedded []reflect.Value
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		key, tagged := f.Tag.Lookup("atoll")
		if !tagged {
			key, tagged = f.Tag.Lookup("json")
		}
		key, _, _ = strings.Cut(key, ",")
		switch {
		case key == "-":
		case f.Anonymous && f.Type.Kind() == reflect.Struct && !tagged:
			embedded = append(embedded, v.Field(i))
		case !f.IsExported():
		case key == "":
			add(f.Name, v.Field(i))
		default:
			add(key, v.Field(i))
		}
	}
	for _, e := range embedded {
		for key, f := range structFields(e) {
			if _, ok := out[key]; !ok {
				out[key] = f
			}
		}
	}
	return out
}
