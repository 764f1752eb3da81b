() => {
  // What the page does in the browser alone; it is called once, when the page is there.
  const find = selector => document.querySelector(selector)
  const name = document.title

  // The theme that was chosen last.
  const theme = localStorage.getItem('styletransfer.theme')
  if (theme) document.body.classList.toggle('dark', theme === 'dark')

  // The title tells how far a run is, and that it has ended while nobody looked.
  const progress = () => find('#status progress[value]')
  let running = false
  const entitle = () => {
    const bar = progress()
    if (bar) document.title = `${Math.round(100 * bar.value)} % · ${name}`
    else if (running) document.title = document.hidden ? `✓ ${name}` : name
    running = Boolean(bar)
  }
  const status = find('#status')
  if (status) new MutationObserver(entitle).observe(status, {subtree: true, childList: true, attributes: true})
  addEventListener('visibilitychange', () => { if (!document.hidden && !running) document.title = name })

  // Leaving the page with a picture that has not been saved asks once.
  addEventListener('beforeunload', event => {
    if (window.unsaved) event.preventDefault()
    window.unsaved = false
  })

  // Control or Command with Enter paints, Escape stops.
  const press = selector => { const button = find(selector); if (button?.checkVisibility()) button.click() }
  addEventListener('keydown', event => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      document.activeElement?.blur?.()  // a number that is being typed counts
      press('#run')
    } else if (event.key === 'Escape' && !document.fullscreenElement) press('#stop')
  })

  // A file that is dropped on a picture takes its place: Gradio would take the picture away and lose the file.
  const slot = event => {
    const slot = event.target.closest?.('#content, #style')
    return slot?.querySelector('img') && event.dataTransfer?.types.includes('Files') ? slot : null
  }
  addEventListener('dragover', event => { if (slot(event)) event.preventDefault() }, true)
  addEventListener('drop', event => {
    const input = slot(event)?.querySelector('input[type=file]')
    if (!input) return
    event.preventDefault()
    event.stopImmediatePropagation()
    input.files = event.dataTransfer.files
    input.dispatchEvent(new Event('change', {bubbles: true}))
  }, true)

  // A scroll that starts on a slider must not change it: browsers move it as soon as it is touched.
  let touched = null
  addEventListener('pointerdown', event => {
    const slider = event.pointerType === 'touch' && event.target.closest?.('input[type=range]')
    touched = slider ? {slider, value: slider.value, x: event.clientX, y: event.clientY} : null
  }, true)
  const lift = event => {
    if (!touched) return
    const {slider, value, x, y} = touched, across = Math.abs(event.clientX - x), along = Math.abs(event.clientY - y)
    touched = null
    if (event.type === 'pointerup' && along < Math.max(10, across)) return
    slider.value = value
    slider.dispatchEvent(new Event('input', {bubbles: true}))
  }
  for (const kind of ['pointerup', 'pointercancel']) addEventListener(kind, lift, true)
}
