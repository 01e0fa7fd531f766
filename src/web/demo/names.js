/** Names: a tab needs one, so that others see who moved a card. It is kept over a reload. */

const COLOURS = ["Amber", "Azure", "Coral", "Ivory", "Jade", "Lilac", "Ochre", "Pearl", "Ruby", "Teal"]
const BIRDS = ["Avocet", "Curlew", "Dunlin", "Gannet", "Heron", "Kittiwake", "Osprey", "Plover", "Puffin", "Tern"]

const any = list => list[Math.floor(Math.random() * list.length)]

export function nameOfMine() {
  try {
    return (sessionStorage.demoName ??= `${any(COLOURS)} ${any(BIRDS)}`)
  } catch {
    return `${any(COLOURS)} ${any(BIRDS)}` // a storage that is shut
  }
}
